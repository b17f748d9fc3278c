"""The widget that shows the lines of a room. Its scroll position stays at the same line when others are added."""

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


class DrawnLine(NamedTuple):
    """A line, wrapped for the current width."""

    line: Line
    day_above: date | None
    """The day of the last message above the line."""
    day: date | None
    """The day of the last message up to and including the line."""
    strips: list[Strip]


class TimelineView(ScrollView, can_focus=False):
    """Renders only the visible rows. Each line is wrapped once for each width. Each day has a heading."""

    class AtTop(Message):
        """The user has scrolled to the first line."""

    class AtEnd(Message):
        """The user has scrolled to the last line."""

    def __init__(self, own_id: str, zone: tzinfo | None = None) -> None:
        super().__init__(id="timeline")
        self._own_id = own_id
        self._zone = zone
        self._rich_console = Console(width=200, color_system="truecolor", force_terminal=True)
        self._lines: Sequence[Line] = ()
        self._drawn: dict[int, DrawnLine] = {}
        self._strips: list[Strip] = []
        self._starts: list[int] = []  # the first row of each line
        self._follows_end = True

    @property
    def is_at_end(self) -> bool:
        """Whether the last line is visible. New lines then scroll into view."""
        return self._follows_end

    def show(self, lines: Sequence[Line], *, from_end: bool = False) -> None:
        """Show these lines, at the current scroll position or at the end."""
        if from_end:
            self._follows_end = True
        top = round(self.scroll_offset.y)
        anchor, rows_inside = self._line_at(top)
        self._lines = lines
        self._lay_out()
        if self._follows_end:
            self.scroll_to(y=self._end, animate=False, force=True, immediate=True)
        elif anchor is not None:
            index = bisect.bisect_left([line.order for line in lines], anchor)
            start = self._starts[index] if index < len(self._starts) else len(self._strips)
            self.scroll_to(y=start + rows_inside, animate=False, force=True, immediate=True)
        self.refresh()

    def page_up(self) -> None:
        """Scroll up by a page; post `AtTop` at the top."""
        if self.scroll_offset.y <= 0:
            self.post_message(self.AtTop())
        self.scroll_page_up(animate=False)

    def page_down(self) -> None:
        self.scroll_page_down(animate=False)

    @property
    def _end(self) -> int:
        return max(0, len(self._strips) - self.size.height)

    def _line_at(self, y: int) -> tuple[int | None, int]:
        """The `order` of the line at row `y`, and the row within the line."""
        if not self._lines:
            return None, 0
        index = max(0, bisect.bisect_right(self._starts, y) - 1)
        return self._lines[index].order, y - self._starts[index]

    def _lay_out(self) -> None:
        width = max(10, self.scrollable_content_region.width)
        kept, self._drawn = self._drawn, {}
        self._strips, self._starts = [], []
        day: date | None = None
        for line in self._lines:
            drawn = kept.get(line.order)
            if drawn is None or drawn.line != line or drawn.day_above != day:
                drawn = self._draw(line, day, width)
            day = drawn.day
            self._drawn[line.order] = drawn
            self._starts.append(len(self._strips))
            self._strips += drawn.strips
        self.virtual_size = Size(width, len(self._strips))

    def _draw(self, line: Line, day_above: date | None, width: int) -> DrawnLine:
        day = day_of(line, self._zone) or day_above
        strips = self._wrap(draw(line, self._own_id, self._zone), width)
        if day is not None and day != day_above:
            strips = self._wrap(draw_day(day), width) + strips
        return DrawnLine(line, day_above, day, strips)

    def _wrap(self, text: Text, width: int) -> list[Strip]:
        wrapped = text.wrap(self._rich_console, width, overflow="fold")
        return [Strip(part.render(self._rich_console)) for part in wrapped]

    def render_line(self, y: int) -> Strip:
        y += round(self.scroll_offset.y)
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_resize(self, event: Resize) -> None:
        self._drawn.clear()
        self.show(self._lines)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        was_following, self._follows_end = self._follows_end, round(new_value) >= self._end
        if self._follows_end and not was_following:
            self.post_message(self.AtEnd())
        if round(new_value) <= 0 < round(old_value) and not self._follows_end:
            self.post_message(self.AtTop())
