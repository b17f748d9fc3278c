"""`TimelineView` in an app of its own."""

from datetime import timedelta, timezone

import pytest
from textual.app import App

from chat_actors.cli.terminal.timeline import MessageLine, NoticeLine
from chat_actors.cli.terminal.timeline_view import TimelineView
from chat_actors.client import ChatMessage

pytestmark = pytest.mark.anyio


def message_line(n, timestamp):
    return MessageLine(n, ChatMessage("bobby", "red", f"message {n}", timestamp, 100 + n))


class Viewer(App[None]):
    def compose(self):
        yield TimelineView("alice", timezone(timedelta(hours=2)))

    async def shown(self, pilot, *lines):
        view = self.query_one(TimelineView)
        view.show(lines)
        await pilot.pause()
        return [row for y in range(view.size.height) if (row := view.render_line(y).text.rstrip())]


async def test_each_local_day_has_a_heading():
    viewer = Viewer()
    async with viewer.run_test(size=(60, 20)) as pilot:
        today = [
            message_line(1, "2026-01-01T21:59:00.000Z"),
            NoticeLine(2, "cara came"),
            message_line(3, "2026-01-01T22:01:00.000Z"),
        ]
        first, second = "──── Thursday, 1 January 2026 ────", "──── Friday, 2 January 2026 ────"
        rows = [first, "23:59 bobby message 1", "cara came", second, "00:01 bobby message 3"]
        assert await viewer.shown(pilot, *today) == rows
        more = message_line(4, "2026-01-01T22:02:00.000Z")
        rows.append("00:02 bobby message 4")
        assert await viewer.shown(pilot, *today, more) == rows
        # A line added above gets the heading of the day.
        earlier = message_line(-1, "2026-01-01T10:00:00.000Z")
        assert await viewer.shown(pilot, earlier, *today, more) == [first, "12:00 bobby message -1", *rows[1:]]


async def test_invalid_timestamp_has_no_day():
    viewer = Viewer()
    async with viewer.run_test(size=(60, 20)) as pilot:
        rows = await viewer.shown(pilot, message_line(1, "yesterday"), NoticeLine(2, "cara came"))
        assert rows == ["--:-- bobby message 1", "cara came"]
