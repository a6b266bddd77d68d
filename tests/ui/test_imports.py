import subprocess
import sys


def test_the_room_and_its_exits_do_not_import_textual():
    code = "import sys, qmterm.ui, qmterm.ui.exits, qmterm.core.settings.screen; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
