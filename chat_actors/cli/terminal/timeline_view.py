"""The widget that shows the lines of a room: it stays where the reader is when lines come above or below."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from datetime import date, tzinfo
from typing import NamedTuple

from rich.console import Console
from rich.text import Text
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from chat_actors.cli.terminal.drawing import day_of, draw, draw_day
from chat_actors.cli.terminal.timeline import Line


class Drawn(NamedTuple):
    """A line as it is on the screen."""

    line: Line
    after: date | None
    """The day of the last message above it."""
    day: date | None
    """The day of the last message up to here."""
    strips: list[Strip]


class TimelineView(ScrollView, can_focus=False):
    """Draws only what is on the screen; each line is wrapped once for each width. Each day has its name above it."""

    class AtTop(Message):
        """The reader has come to the first line."""

    class AtEnd(Message):
        """The reader has come to the last line."""

    def __init__(self, own_id: str, zone: tzinfo | None = None) -> None:
        super().__init__(id="timeline")
        self._own_id = own_id
        self._zone = zone
        self._plain = Console(width=200, color_system="truecolor", force_terminal=True)
        self._lines: Sequence[Line] = ()
        self._drawn: dict[int, Drawn] = {}
        self._strips: list[Strip] = []
        self._starts: list[int] = []  # where on the canvas each line begins
        self._follows = True

    @property
    def is_at_end(self) -> bool:
        """Whether the last line is on the screen, and what comes next will be."""
        return self._follows

    def show(self, lines: Sequence[Line], *, from_end: bool = False) -> None:
        """Show these lines: at the place where the reader is, or at the end."""
        if from_end:
            self._follows = True
        top = round(self.scroll_offset.y)
        anchor, inside = self._line_at(top)
        self._lines = lines
        self._lay_out()
        if self._follows:
            self.scroll_to(y=self._end, animate=False, force=True, immediate=True)
        elif anchor is not None:
            index = bisect.bisect_left([line.n for line in lines], anchor)
            start = self._starts[index] if index < len(self._starts) else len(self._strips)
            self.scroll_to(y=start + inside, animate=False, force=True, immediate=True)
        self.refresh()

    def page_up(self) -> None:
        """A page up; `AtTop` if that is not possible."""
        if self.scroll_offset.y <= 0:
            self.post_message(self.AtTop())
        self.scroll_page_up(animate=False)

    def page_down(self) -> None:
        self.scroll_page_down(animate=False)

    @property
    def _end(self) -> int:
        return max(0, len(self._strips) - self.size.height)

    def _line_at(self, y: int) -> tuple[int | None, int]:
        """The `n` of the line that is there, and how far inside of it."""
        if not self._lines:
            return None, 0
        index = max(0, bisect.bisect_right(self._starts, y) - 1)
        return self._lines[index].n, y - self._starts[index]

    def _lay_out(self) -> None:
        width = max(10, self.scrollable_content_region.width)
        kept, self._drawn = self._drawn, {}
        self._strips, self._starts = [], []
        day: date | None = None
        for line in self._lines:
            drawn = kept.get(line.n)
            if drawn is None or drawn.line != line or drawn.after != day:
                drawn = self._draw(line, day, width)
            day = drawn.day
            self._drawn[line.n] = drawn
            self._starts.append(len(self._strips))
            self._strips += drawn.strips
        self.virtual_size = Size(width, len(self._strips))

    def _draw(self, line: Line, after: date | None, width: int) -> Drawn:
        day = day_of(line, self._zone) or after
        strips = self._wrap(draw(line, self._own_id, self._zone), width)
        if day is not None and day != after:
            strips = self._wrap(draw_day(day), width) + strips
        return Drawn(line, after, day, strips)

    def _wrap(self, text: Text, width: int) -> list[Strip]:
        wrapped = text.wrap(self._plain, width, overflow="fold")
        return [Strip(part.render(self._plain)) for part in wrapped]

    def render_line(self, y: int) -> Strip:
        y += round(self.scroll_offset.y)
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_resize(self, event: Resize) -> None:
        self._drawn.clear()
        self.show(self._lines)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        was_following, self._follows = self._follows, round(new_value) >= self._end
        if self._follows and not was_following:
            self.post_message(self.AtEnd())
        if round(new_value) <= 0 < round(old_value) and not self._follows:
            self.post_message(self.AtTop())
