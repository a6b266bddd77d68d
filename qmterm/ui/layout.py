"""Where each pane stands at a terminal size: pure geometry, tested without a terminal.

Below 80x24 there is no layout (one line says so). Below 120x40 one pane fills the deck at a time; from there on the
desk shows six. The two header lines and the three bottom lines never move, so that hands learn where things are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

SMALLEST: Final = Size(80, 24)
DESK_FROM: Final = Size(120, 40)
TOP_LINES: Final = 2
BOTTOM_LINES: Final = 3


class Plan(NamedTuple):
    """Regions by widget id; a widget that is not named is not shown."""

    regions: dict[str, Region]
    desk: bool


def too_small(size: Size) -> bool:
    return size.width < SMALLEST.width or size.height < SMALLEST.height


def has_desk(size: Size) -> bool:
    return size.width >= DESK_FROM.width and size.height >= DESK_FROM.height


def _desk(width: int, top: int, height: int) -> dict[str, Region]:
    """Scan and chain above; positions and risk; orders and log in one calm band below."""
    upper = max(14, height * 45 // 100)
    middle = max(10, height * 27 // 100)
    lower = height - upper - middle
    left = (width * 51 + 50) // 100
    right = width - left
    y_middle, y_lower = top + upper, top + upper + middle
    left_middle = max(left, width - 84)
    return {
        "scan": Region(0, top, left, upper),
        "chain": Region(left, top, right, upper),
        "pos": Region(0, y_middle, left_middle, middle),
        "risk": Region(left_middle, y_middle, width - left_middle, middle),
        "orders": Region(0, y_lower, left_middle, lower),
        "log": Region(left_middle, y_lower, width - left_middle, lower),
    }


def plan(size: Size, focused: str, zoomed: bool) -> Plan:
    """Regions of header, panes and bottom lines; `focused` fills the deck when there is no desk."""
    if too_small(size):
        return Plan({"small": Region(0, 0, size.width, size.height)}, False)
    width, height = size
    body = height - TOP_LINES - BOTTOM_LINES
    desk = has_desk(size) and not zoomed
    panes = _desk(width, TOP_LINES, body) if desk else {focused: Region(0, TOP_LINES, width, body)}
    return Plan(
        {
            "header": Region(0, 0, width, TOP_LINES),
            **panes,
            "bottom": Region(0, height - BOTTOM_LINES, width, BOTTOM_LINES),
        },
        desk,
    )


class PlanLayout(Layout):
    """Textual's side of it: places children as the current plan says."""

    name = "plan"

    def __init__(self, current: Callable[[Size], Plan]) -> None:
        self._current = current

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        regions = self._current(size).regions
        nothing = Spacing(0, 0, 0, 0)
        return [
            WidgetPlacement(regions[child.id], Offset(0, 0), nothing, child)
            for child in children
            if child.id is not None and child.id in regions
        ]
