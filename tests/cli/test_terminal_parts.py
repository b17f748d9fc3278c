"""The terminal chat without a terminal: input commands, timelines, unread counts, and drawing."""

from datetime import UTC

import pytest

from chat_actors.cli.terminal import input_commands
from chat_actors.cli.terminal.drawing import draw, draw_members, draw_room, draw_status
from chat_actors.cli.terminal.rooms import Closed, Disconnected, OpenRoom, Rooms
from chat_actors.cli.terminal.timeline import FailedLine, GapLine, MessageLine, NoticeLine, PendingLine, Timeline
from chat_actors.client import ChatMessage, Gap, History


def message(seq, content="", user_id="bobby"):
    return ChatMessage(user_id, "red", content or str(seq), "2026-01-01T12:34:56.000Z", seq)


def page(*seqs, more=False):
    return History("red", [message(seq) for seq in seqs], seqs[0] if seqs else None, seqs[-1] if seqs else None, more)


def shown(timeline):
    return [line.message.content for line in timeline.lines if isinstance(line, MessageLine)]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("  hello ", input_commands.Say("hello")),
        ("//etc/hosts", input_commands.Say("/etc/hosts")),
        ("/join the red room ", input_commands.Join("the red room")),
        ("/switch red", input_commands.Switch("red")),
        ("/leave", input_commands.Leave()),
        ("/who", input_commands.ListMembers()),
        ("/history", input_commands.LoadHistory()),
        ("/history 20", input_commands.LoadHistory(20)),
        ("/help", input_commands.Help()),
        ("/quit", input_commands.Quit()),
        ("", None),
        ("   ", None),
    ],
)
def test_parse_returns_the_command(line, command):
    assert input_commands.parse(line) == command


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/join", "needs the name of a room"),
        (f"/switch {'x' * 129}", "needs the name of a room"),
        ("/history 0", "takes a number from 1 to 200"),
        ("/history 201", "takes a number from 1 to 200"),
        (f"/history {'9' * 5000}", "takes a number from 1 to 200"),
        ("/history ²", "takes a number from 1 to 200"),
        ("/quit now", "takes nothing after it"),
        ("/dance", "there is no /dance; /help lists what there is"),
    ],
)
def test_parse_explains_invalid_input(line, problem):
    assert problem in input_commands.parse(line).problem


def test_history_comes_first_without_duplicates():
    timeline = Timeline()
    timeline.add_history(page(3, 4, 5, more=True))
    assert [timeline.add_message(message(seq)) for seq in (4, 5, 6)] == [False, False, True]
    assert (timeline.first_seq, timeline.has_older) == (3, True)
    timeline.add_history(page(1, 2))
    assert shown(timeline) == ["1", "2", "3", "4", "5", "6"]
    assert [line.order for line in timeline.lines] == sorted(line.order for line in timeline.lines)
    assert not timeline.has_older


def test_restarted_numbers_after_gap_are_new():
    timeline = Timeline()
    timeline.add_history(page(8, 9, more=True))
    timeline.add_gap(Gap("red", None))
    assert timeline.add_message(message(1))
    assert shown(timeline) == ["8", "9", "1"]
    assert not timeline.has_older


def test_oldest_lines_are_dropped_and_loadable():
    timeline = Timeline(maximum=5)
    timeline.add_history(page(1, 2, 3))
    assert not timeline.has_older
    for seq in range(4, 9):
        timeline.add_message(message(seq))
    assert shown(timeline) == ["4", "5", "6", "7", "8"]
    assert timeline.has_older
    assert timeline.free_space == 0
    timeline.add_history(page(1, 2, 3))
    assert shown(timeline) == ["4", "5", "6", "7", "8"]


def test_page_over_capacity_keeps_its_newest_part():
    timeline = Timeline(maximum=5)
    timeline.add_history(page(7, 8, 9, more=True))
    timeline.add_history(page(3, 4, 5, 6, more=True))
    assert shown(timeline) == ["5", "6", "7", "8", "9"]
    assert not timeline.has_older


@pytest.mark.parametrize("is_delivered_first", [True, False])
def test_own_message_goes_from_pending_to_delivered(is_delivered_first):
    timeline = Timeline()
    order = timeline.add_pending("hello")
    timeline.add_message(message(1))
    assert timeline.lines[-1] == PendingLine(order, "hello")
    if not is_delivered_first:
        timeline.confirm(order, 2)
        assert timeline.lines[-1] == PendingLine(order, "hello", 2)
    timeline.add_message(message(2, "hello", "alice"))
    timeline.confirm(order, 2)
    assert shown(timeline) == ["1", "hello"]
    assert not any(isinstance(line, PendingLine) for line in timeline.lines)


def test_refused_message_keeps_the_reason():
    timeline = Timeline()
    timeline.fail(timeline.add_pending("hello"), "muted")
    (line,) = timeline.lines
    assert (type(line), line.text, line.why) == (FailedLine, "hello", "muted")


def test_unread_counts_messages_out_of_view():
    red, blue = OpenRoom("red"), OpenRoom("blue")
    rooms = Rooms(red)
    rooms.open(blue)
    for room, is_at_end in ((red, True), (red, False), (blue, True), (blue, False)):
        rooms.count_message(room, is_at_end=is_at_end)
    assert (red.unread, blue.unread, rooms.unread_elsewhere) == (2, 1, 2)
    assert rooms.switch("red")
    rooms.mark_read()
    assert (red.unread, rooms.unread_elsewhere) == (0, 1)
    assert not rooms.switch("green")
    rooms.step(1)
    assert rooms.current is blue
    rooms.step(1)
    assert rooms.current is red


def test_last_room_cannot_be_closed():
    rooms = Rooms(OpenRoom("red"))
    rooms.open(OpenRoom("blue"))
    assert rooms.close("blue")
    assert rooms.current.room_id == "red"
    assert not rooms.close("red")
    assert not rooms.close("green")


HOSTILE = "\x1b[2J\x9b31m\u202eevil\u2066 [red]x[/] [link=http://x]y[/link]\ud800"


def test_hostile_text_is_sanitized_and_not_markup():
    room = OpenRoom(HOSTILE)
    room.connection = Disconnected(3, HOSTILE)
    room.members, room.count = [HOSTILE], 2
    texts = [
        draw(MessageLine(1, message(1, HOSTILE)), "alice"),
        draw(MessageLine(1, message(1, "x", HOSTILE)), "alice"),
        draw(NoticeLine(1, HOSTILE), "alice"),
        draw(FailedLine(1, HOSTILE, HOSTILE), "alice"),
        draw(PendingLine(1, HOSTILE), "alice"),
        draw_status(room, "alice", 0),
        draw_room(room, is_current=True),
        draw_members(room.members, room.count),
    ]
    for text in texts:
        assert not set("\x1b\x9b\u202e\u2066\ud800") & set(text.plain)
        assert "[red]x[/]" in text.plain or text.plain[-1] == "x"


def test_line_break_does_not_fake_a_message():
    drawn = draw(MessageLine(1, message(1, "hi\r\n12:34 alice hello\n\nbye")), "alice", UTC).plain
    assert drawn.split("\n") == ["12:34 bobby hi", "        12:34 alice hello", "        ", "        bye"]


def test_gap_and_closed_room_are_drawn():
    assert "you were away, 7 messages are missing" in draw(GapLine(1, 7), "alice").plain
    assert "messages may be missing" in draw(GapLine(1, None), "alice").plain
    room = OpenRoom("red")
    room.unread = 3
    assert draw_status(room, "alice", 2).plain == " red as alice  ● connected  3 new below  2 unread in other rooms"
    room.connection = Closed("kicked")
    assert draw_room(room, is_current=False).plain == "red ○ 3"
    assert "○ kicked" in draw_status(room, "alice", 0).plain
    assert draw_members(["ann"], 3).plain == "3 here\nann\nand 2 more"
