"""What stands on the screen, as plain text: the compositor's own lines, as the terminal gets them."""

from __future__ import annotations

from qmterm.ui.app import QmtermApp


def screen_text(app: QmtermApp) -> str:
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())
