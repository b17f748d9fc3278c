"""The terminal chat: keys and screen, against a real server."""

import asyncio
import contextlib

import msgspec
import pytest
from textual.events import Paste

from chat_actors.chat import Storage
from chat_actors.cli.terminal import ChatApp
from chat_actors.cli.terminal.rooms import Connected, Disconnected
from chat_actors.cli.terminal.timeline_view import TimelineView
from chat_actors.extensions.moderation import Kick, Moderation
from chat_actors.server.app import create_app
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.client.cable import Cable
from tests.client.test_room import NO_LIMITS, connect_as
from tests.patience import PATIENCE
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server():
    storage = Storage(MemoryAccounts(), MemoryJournal(room_messages=400))
    async with LiveServer(create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=storage)) as server:
        yield server


class Screen:
    """A running app with its keys and its screen."""

    def __init__(self, app, pilot):
        self.app = app
        self.pilot = pilot

    @property
    def text(self):
        """All lines of the screen."""
        return "\n".join(
            "".join(segment.text for segment in line) for line in self.app.screen._compositor.render_strips()
        )

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.pilot.pause(0.01)

    async def shows(self, *texts):
        try:
            await self.until(lambda: all(text in self.text for text in texts))
        except TimeoutError:
            raise AssertionError(f"{texts} not on the screen:\n{self.text}") from None

    async def has_ended(self):
        await self.until(lambda: not self.app.is_running or self.app._exit)
        assert self.app.return_code == 0

    async def type(self, line):
        for character in line:
            await self.pilot.press({" ": "space", "/": "slash"}.get(character, character))
        await self.pilot.press("enter")


@contextlib.asynccontextmanager
async def screen_of(chat, room_id="lobby", size=(100, 24)):
    room = chat.room(room_id)
    await room.join()
    app = ChatApp(chat, room)
    async with app.run_test(size=size) as pilot:
        yield Screen(app, pilot)


async def test_two_users_chat(server):
    async with (
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby") as his,
        screen_of(alice) as screen,
    ):
        await screen.shows("lobby as alice  ● connected", "2 here", "bobby")
        await screen.type("hello there")
        await screen.shows("alice hello there ✓")
        assert (await his.receive_message()).content == "hello there"
        await his.say("hi [red]x[/] \x1b[2J \u202e[@click=app.bell]y[/]")
        await screen.shows("bobby hi [red]x[/] \ufffd[2J \ufffd[@click=app.bell]y[/]")
        await his.aclose()
        await screen.shows("bobby left the room", "1 here")


async def test_rooms_switch_and_count_unread_messages(server):
    async with (
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby", listen=False) as lobby,
        screen_of(alice) as screen,
    ):
        await screen.type("/join attic")
        await screen.shows("attic as alice")
        for n in range(3):
            await lobby.say(f"psst {n}")
        await screen.shows("3 unread in other rooms", "lobby 3")
        assert "psst" not in screen.text
        await screen.type("/switch lobby")
        await screen.shows("lobby as alice", "bobby psst 2")
        assert "unread" not in screen.text
        await screen.pilot.press("ctrl+n")
        await screen.shows("attic as alice")
        await screen.type("/leave")
        await screen.shows("lobby as alice")
        assert [room.room_id for room in screen.app.rooms.all] == ["lobby"]
        await screen.type("/leave")
        await screen.shows("this is the only room that you are in")
        await screen.type("/switch attic")
        await screen.shows("you are not in attic; /join attic goes there")


async def test_own_message_from_elsewhere_is_not_unread(server):
    async with (
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "alice") as phone,
        screen_of(alice) as screen,
    ):
        await screen.type("/join attic")
        await screen.shows("attic as alice")
        async with phone.room("lobby", listen=False) as elsewhere:
            await elsewhere.say("from my phone")
            await screen.until(
                lambda: any("from my phone" in str(line) for line in screen.app.rooms.all[0].timeline.lines)
            )
        assert "unread" not in screen.text
        assert screen.app.rooms.unread_elsewhere == 0


async def test_click_switches_the_room(server):
    async with connect_as(server.port, "alice") as alice, screen_of(alice) as screen:
        await screen.type("/join attic")
        await screen.shows("attic as alice")
        await screen.pilot.click("#rooms", offset=(2, 0))
        await screen.shows("lobby as alice")


async def test_page_up_loads_history_and_keeps_position(server):
    async with (
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby") as his,
    ):
        await asyncio.gather(*(his.say(f"message {n}.") for n in range(300)))
        async with screen_of(alice) as screen:
            await screen.shows("message 299.")
            view = screen.app.query_one(TimelineView)
            for first in (150, 50, 0):
                timeline = screen.app.rooms.current.timeline
                while timeline.lines[0].message.content != f"message {first}.":
                    await screen.pilot.press("pageup")
                    await screen.pilot.pause(0.01)
            assert not timeline.has_older
            assert "message 299." not in screen.text
            before = screen.text.splitlines()[5]
            await his.say("meanwhile")
            await screen.shows("1 new below")
            assert screen.text.splitlines()[5] == before
            while not view.is_at_end:
                await screen.pilot.press("pagedown")
            await screen.shows("meanwhile")
            await screen.until(lambda: "new below" not in screen.text)


async def test_commands_print_their_results(server):
    async with connect_as(server.port, "alice") as alice, screen_of(alice) as screen:
        await screen.shows("1 here")
        await screen.type("/who")
        await screen.shows("1 here: alice")
        await screen.type("/dance")
        await screen.shows("there is no /dance")
        await screen.type("/help")
        await screen.shows("/join ROOM", "//text")
        await screen.type("/history 5")
        await screen.shows("there is nothing earlier")
        await screen.type("//usr")
        await screen.shows("alice /usr ✓")


async def test_pasted_lines_become_one_message(server):
    async with connect_as(server.port, "alice") as alice, screen_of(alice) as screen:
        screen.app.query_one("#input").post_message(Paste("one\ntwo\r\nthree\n"))
        await screen.shows("one two three")
        await screen.pilot.press("enter")
        await screen.shows("alice one two three ✓")


async def test_refused_message_is_shown_as_not_sent(server):
    async with connect_as(server.port, "alice") as alice, screen_of(alice) as screen:
        screen.app.query_one("#input").value = "x" * 60_000
        await screen.pilot.press("enter")
        await screen.shows("not sent: content must be at")


async def test_reconnect_shows_its_state_and_the_gap(server):
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby", listen=False) as his,
        screen_of(alice) as screen,
    ):
        await screen.shows("2 here")
        cable.is_broken = True
        cable.cut()
        await screen.until(lambda: isinstance(screen.app.rooms.current.connection, Disconnected))
        await screen.shows("○ reconnecting in")
        await screen.type("late")
        await screen.shows("late sending")
        await asyncio.gather(*(his.say(f"missed {n}.") for n in range(420)))
        cable.is_broken = False
        await screen.until(lambda: isinstance(screen.app.rooms.current.connection, Connected))
        await screen.shows("● connected", "late ✓")
        lines = screen.app.rooms.current.timeline.lines
        assert [line.lost for line in lines if hasattr(line, "lost")] == [20]


@pytest.mark.parametrize(("columns", "is_wide"), [(79, False), (80, True)])
async def test_narrow_terminal_hides_the_lists(server, columns, is_wide):
    async with connect_as(server.port, "alice") as alice, screen_of(alice, size=(columns, 20)) as screen:
        await screen.until(lambda: screen.app.rooms.current.count == 1)
        await screen.type("hello")
        await screen.shows("alice hello ✓")
        await screen.until(lambda: ("1 here" in screen.text) is is_wide)


@pytest.mark.parametrize("keys", ["ctrl+c", "ctrl+d", "/quit"])
async def test_quit_ends_at_once(server, keys):
    async with connect_as(server.port, "alice") as alice, screen_of(alice) as screen:
        if keys == "/quit":
            await screen.type(keys)
        else:
            await screen.pilot.press(keys)
        await screen.has_ended()


async def test_quit_while_offline_waits_until_all_is_sent(server):
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby") as his,
        screen_of(alice) as screen,
    ):
        await screen.shows("2 here")
        cable.is_broken = True
        cable.cut()
        await screen.until(lambda: isinstance(screen.app.rooms.current.connection, Disconnected))
        await screen.type("bye")
        await screen.type("/quit")
        await screen.shows("1 not sent yet")
        cable.is_broken = False
        async with asyncio.timeout(PATIENCE):
            assert (await his.receive_message()).content == "bye"
        await screen.has_ended()


async def test_second_quit_or_leave_does_not_wait(server):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice") as alice, screen_of(alice) as screen:
        await screen.type("/join den")
        await screen.shows("den as alice")
        cable.is_broken = True
        cable.cut()
        await screen.until(lambda: isinstance(screen.app.rooms.current.connection, Disconnected))
        await screen.type("ah")
        await screen.type("/leave")
        await screen.shows("your last message is not sent yet")
        await screen.type("/leave")
        await screen.shows("lobby as alice")
        await screen.type("oh")
        await screen.pilot.press("ctrl+c")
        await screen.shows("1 not sent yet")
        await screen.pilot.press("ctrl+c")
        await screen.has_ended()


async def test_kicked_user_is_notified_and_may_rejoin():
    settings = Settings(server=ServerSettings(extensions=("moderation",)), limits=NO_LIMITS)
    app = create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts(), MemoryJournal()))
    async with (
        LiveServer(app) as server,
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("lobby", listen=False) as his,
        screen_of(alice) as screen,
    ):
        await screen.shows("2 here")
        await his.ask(Kick("alice"), answer=Moderation)
        await screen.shows("out of the room lobby", "/join lobby to rejoin", "lobby ○")
        await screen.type("hello?")
        await screen.shows("hello? not sent")
        await screen.type("/join lobby")
        await screen.shows("● connected", "2 here")
        await screen.type("back again")
        await screen.shows("alice back again ✓")


async def test_failed_join_keeps_the_current_room():
    limits = msgspec.structs.replace(NO_LIMITS, rooms_per_connection=1)
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with (
        LiveServer(app) as server,
        connect_as(server.port, "alice") as alice,
        screen_of(alice) as screen,
    ):
        await screen.type("/join den")
        await screen.shows("cannot join den: the server refused: At most 1 rooms")
        assert [room.room_id for room in screen.app.rooms.all] == ["lobby"]


async def test_second_join_while_offline_changes_nothing(server):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice") as alice, screen_of(alice) as screen:
        await screen.shows("1 here")
        cable.is_broken = True
        cable.cut()
        await screen.until(lambda: isinstance(screen.app.rooms.current.connection, Disconnected))
        await screen.type("/join den")
        await screen.type("/join den")
        cable.is_broken = False
        await screen.shows("den as alice")
        assert [room.room_id for room in screen.app.rooms.all] == ["lobby", "den"]
