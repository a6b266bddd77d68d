"""A widget that draws lines of spans and repaints only what changed: the base of everything on the screen.

Textual has no cell diff against the last frame: whatever is marked dirty is sent over the wire. So the comparison
happens here, on formatted text, and only the changed stretch of a line is marked dirty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from qmterm.ui.palette import Line, Palette, Span, fit, text_of, width_of

CACHED_STRIPS = 2000


def changed_regions(old: Line, new: Line, y: int) -> list[Region]:
    """Where two lines differ, in cells: one region from the first to the last change.

    Not one for each change: Textual sends a widget's line from its start to the end of a region, every time.
    """
    if old == new:
        return []
    if len(old) != len(new) or any(len(a.text) != len(b.text) for a, b in zip(old, new, strict=True)):
        return [Region(0, y, max(width_of(old), width_of(new)), 1)]
    regions: list[Region] = []
    x = 0
    for before, after in zip(old, new, strict=True):
        if before != after:
            first, last = 0, len(after.text)
            if before[1:] == after[1:]:
                while before.text[first] == after.text[first]:
                    first += 1
                while before.text[last - 1] == after.text[last - 1]:
                    last -= 1
            regions.append(Region(x + first, y, last - first, 1))
        x += len(after.text)
    start, end = regions[0].x, regions[-1].right
    return [Region(start, y, end - start, 1)]


def strip_of(line: Line, palette: Palette) -> Strip:
    """One strip, with neighbours of the same look joined: fewer colour changes, fewer bytes."""
    segments: list[Segment] = []
    text, tone, marks = "", "text", 0
    for span in line:
        if (span.tone, span.marks) != (tone, marks) and span.text:
            if text:
                segments.append(Segment(text, palette.style(tone, marks)))
            text, tone, marks = "", span.tone, span.marks
        text += span.text
    if text:
        segments.append(Segment(text, palette.style(tone, marks)))
    return Strip(segments, width_of(line))


class LineWidget(Widget):
    """Draws what `show` was given, exactly as wide as it is; drawing never computes anything."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "LineWidget { background: $background; }"

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.lines: tuple[Line, ...] = ()
        self.painter: Callable[[], None] | None = None  # draws anew after a resize
        self._strips: dict[Line, Strip] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines from the next frame on; repaints only what differs from what is there."""
        width, height = self.size
        fresh = tuple(fit(line, width) for line in lines[:height])
        old, self.lines = self.lines, fresh
        blank: Line = (Span(" " * width),)
        regions: list[Region] = []
        for y in range(max(len(old), len(fresh))):
            before = old[y] if y < len(old) else blank
            after = fresh[y] if y < len(fresh) else blank
            regions.extend(changed_regions(before, after, y))
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        if self.painter is not None:
            self.painter()

    def use_palette(self, palette: Palette) -> None:
        """Another theme: every strip is built anew."""
        self.palette = palette
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self.lines):
            return Strip.blank(width, self.palette.style("text"))
        line = self.lines[y]
        strip = self._strips.get(line)
        if strip is None:
            if len(self._strips) >= CACHED_STRIPS:
                self._strips.clear()
            strip = self._strips[line] = strip_of(line, self.palette)
        return strip.adjust_cell_length(width, self.palette.style("text"))

    @property
    def text(self) -> str:
        """What stands there, as text: for tests and for copying."""
        return "\n".join(text_of(line) for line in self.lines)
