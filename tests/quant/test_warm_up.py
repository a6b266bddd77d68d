"""Warm-up leaves no kernel of the whole floor to be compiled at the first decision."""

import subprocess
import sys

CHECK = """
import importlib, pkgutil, sys
import qmterm.quant
from qmterm.quant.warm_up import warm_up
# Kernels of modules that warm-up does not know would be missed, so all are imported.
for module in pkgutil.walk_packages(qmterm.quant.__path__, "qmterm.quant."):
    importlib.import_module(module.name)
warm_up()
from numba.core.dispatcher import Dispatcher
from qmterm.quant.kernel import ArrayKernel
found = 0
for name, module in sorted(sys.modules.items()):
    if not name.startswith("qmterm.quant"):
        continue
    for attribute, value in vars(module).items():
        compiled = value.compiled if isinstance(value, ArrayKernel) else value
        if isinstance(compiled, Dispatcher):
            found += 1
            assert len(compiled.signatures) == 1, (name, attribute, compiled.signatures)
assert found >= 20, found
heavy = [name for name in ("pandas", "scipy.special", "textual", "exchange_calendars") if name in sys.modules]
assert not heavy, heavy
"""


def test_every_kernel_is_ready_once_and_nothing_heavy_was_imported():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
