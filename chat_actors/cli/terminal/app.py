"""The full-screen chat: rooms on the left, the messages in the middle, members on the right."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Coroutine
from typing import Any, ClassVar, assert_never

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Paste
from textual.widgets import Input, OptionList, Static

from chat_actors.cli.terminal import input_commands
from chat_actors.cli.terminal.drawing import draw_members, draw_room, draw_status
from chat_actors.cli.terminal.room_controller import RoomController
from chat_actors.cli.terminal.rooms import Closed, OpenRoom, Rooms
from chat_actors.cli.terminal.timeline_view import TimelineView
from chat_actors.client import Chat, ChatMessage, ClientError, Room

REDRAW_INTERVAL = 0.03
"""Least seconds between two redraws, however many messages arrive."""

MIN_WIDE_COLUMNS = 80
"""A terminal with fewer columns does not show the lists of rooms and members."""


class MessageInput(Input):
    """The input line."""

    def on_paste(self, event: Paste) -> None:
        """Paste several lines as one. `Input` would paste the first and drop the rest."""
        event.prevent_default()
        event.stop()
        self.insert_text_at_cursor(" ".join(event.text.split()))


class ChatApp(App[None]):
    """Connects the keys and the screen with the rooms.

    The other modules of this package make the decisions, without I/O.
    """

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (MIN_WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - Textual declares it so
    CSS = """
    #status { height: 1; background: $panel; }
    #rooms, #members { width: 20; border: none; padding: 0 1; background: $surface; }
    #timeline { height: 1fr; scrollbar-gutter: stable; padding: 0 1; }
    #input { border: none; height: 1; background: $panel; }
    .-narrow #rooms, .-narrow #members { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+d", "quit", priority=True),
        Binding("pageup", "page_up", priority=True),
        Binding("pagedown", "page_down", priority=True),
        Binding("ctrl+n", "step(1)", priority=True),
        Binding("ctrl+p", "step(-1)", priority=True),
    ]

    def __init__(self, chat: Chat, first: Room) -> None:
        """`first` is a joined room."""
        super().__init__()
        self._chat = chat
        controller = self._make_controller(first)
        self._controllers = {first.room_id: controller}
        self._rooms = Rooms(controller.view)
        self._is_redraw_scheduled = False
        self._is_quitting = False
        self._leaving: OpenRoom | None = None  # has unsent messages; another /leave discards them

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        with Horizontal():
            yield OptionList(id="rooms", markup=False)
            with Vertical():
                yield TimelineView(self._chat.user_id)
                yield MessageInput(id="input", placeholder="Type a message, or /help")
            yield Static(id="members", markup=False)

    def on_mount(self) -> None:
        self.query_one("#rooms").can_focus = False
        self.query_one(Input).focus()
        self._run_controller(self._controller)

    # -- the screen ----------------------------------------------------------------------------------------------------

    @property
    def rooms(self) -> Rooms:
        """The rooms as the user sees them."""
        return self._rooms

    @property
    def _controller(self) -> RoomController:
        return self._controllers[self._rooms.current.room_id]

    @property
    def _timeline_view(self) -> TimelineView:
        return self.query_one(TimelineView)

    def _schedule_redraw(self) -> None:
        if not self._is_redraw_scheduled:
            self._is_redraw_scheduled = True
            self.set_timer(REDRAW_INTERVAL, self._draw_all)

    def _draw_all(self, *, from_end: bool = False) -> None:
        self._is_redraw_scheduled = False
        with contextlib.suppress(NoMatches):  # while the app shuts down, its widgets are removed
            self._draw_widgets(from_end=from_end)

    def _draw_widgets(self, *, from_end: bool) -> None:
        room = self._rooms.current
        self._timeline_view.show(room.timeline.lines, from_end=from_end)
        if self._timeline_view.is_at_end:
            self._rooms.mark_read()
        self.query_one("#status", Static).update(draw_status(room, self._chat.user_id, self._rooms.unread_elsewhere))
        self.query_one("#members", Static).update(draw_members(room.members, room.count))
        self._draw_rooms()

    def _draw_rooms(self) -> None:
        entries = [
            Content.from_rich_text(draw_room(room, is_current=room is self._rooms.current)) for room in self._rooms.all
        ]
        option_list = self.query_one(OptionList)
        if entries != [option.prompt for option in option_list.options]:
            option_list.clear_options()
            option_list.add_options(entries)
        option_list.highlighted = self._rooms.all.index(self._rooms.current)

    def _add_notice(self, text: str, *, is_problem: bool = False) -> None:
        for line in text.splitlines():
            self._rooms.current.timeline.add_notice(line, is_problem=is_problem)
        self._draw_all(from_end=True)

    # -- the tasks of a room -------------------------------------------------------------------------------------------

    def _make_controller(self, room: Room) -> RoomController:
        return RoomController(room, self._schedule_redraw, self._on_room_message)

    def _on_room_message(self, room: OpenRoom, message: ChatMessage) -> None:
        if message.user_id == self._chat.user_id:
            return
        with contextlib.suppress(NoMatches):  # as in `_draw_all`
            self._rooms.count_message(room, is_at_end=self._timeline_view.is_at_end)

    def _run_controller(self, controller: RoomController) -> None:
        self._draw_all(from_end=True)
        self._run(controller.listen())
        self._run(controller.watch_members())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work)  # an exception ends the program with a traceback

    # -- actions of the user -------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.clear()
        self._execute(input_commands.parse(event.value))

    def _execute(self, command: input_commands.InputCommand | None) -> None:
        match command:
            case None:
                pass
            case input_commands.Say(text=text):
                self._say(self._controller, text)
            case input_commands.Join(room_id=room_id):
                self._join(room_id)
            case input_commands.Switch(room_id=room_id):
                if not self._rooms.switch(room_id):
                    self._add_notice(f"you are not in {room_id}; /join {room_id} goes there", is_problem=True)
                self._draw_all(from_end=True)
            case input_commands.Leave():
                self._leave(self._controller)
            case input_commands.ListMembers():
                room = self._rooms.current
                names = ", ".join(room.members) + (", ..." if (room.count or 0) > len(room.members) else "")
                self._add_notice(f"{room.count or 'an unknown number'} here: {names}")
            case input_commands.LoadHistory(count=count):
                if not self._load_earlier(count):
                    self._add_notice("there is nothing earlier, or no space for it")
            case input_commands.Help():
                self._add_notice(input_commands.HELP)
            case input_commands.Quit():
                self._quit()
            case input_commands.InvalidInput(problem=problem):
                self._add_notice(problem, is_problem=True)
            case _:
                assert_never(command)

    def _say(self, controller: RoomController, text: str) -> None:
        order = controller.view.timeline.add_pending(text)
        self._draw_all(from_end=True)

        async def say() -> None:
            if not await controller.say(text, order):
                self._is_quitting = False  # so that the user sees the failure
            elif self._is_quitting and not self._unsent:
                self.exit()

        self._run(say())

    def _join(self, room_id: str) -> None:
        known = self._controllers.get(room_id)
        if known is not None and not isinstance(known.view.connection, Closed):
            self._rooms.switch(room_id)
            self._draw_all(from_end=True)
            return

        async def join() -> None:
            try:
                room = self._chat.room(room_id)
            except ValueError:
                return  # an earlier /join of the same room waits for the server
            try:
                await room.join()
            except ClientError as error:
                self._add_notice(f"cannot join {room_id}: {error}", is_problem=True)
                return
            controller = self._make_controller(room)
            old, self._controllers[room_id] = self._controllers.get(room_id), controller
            self._rooms.open(controller.view)
            self._run_controller(controller)
            if old is not None:
                await old.close()

        self._run(join())

    @property
    def _unsent(self) -> int:
        return sum(controller.view.timeline.unsent for controller in self._controllers.values())

    def _quit(self) -> None:
        if self._is_quitting or not self._unsent:
            self.exit()
            return
        self._is_quitting = True
        self._add_notice(f"{self._unsent} not sent yet: quitting when all are sent; /quit again quits at once")

    def _leave(self, controller: RoomController) -> None:
        if controller.view.timeline.unsent and self._leaving is not controller.view:
            self._leaving = controller.view
            self._add_notice("your last message is not sent yet; /leave again leaves without it", is_problem=True)
            return
        if not self._rooms.close(controller.view.room_id):
            self._add_notice("this is the only room that you are in; /quit leaves the chat", is_problem=True)
            return
        del self._controllers[controller.view.room_id]
        self._run(controller.close())
        self._draw_all(from_end=True)

    def _load_earlier(self, count: int) -> bool:
        """Load up to `count` earlier messages. Returns whether there may be any."""
        controller = self._controller
        if controller.view.timeline.has_older:
            self._run(controller.load_earlier(count))
        return controller.view.timeline.has_older

    def on_timeline_view_at_top(self) -> None:
        self._load_earlier(input_commands.HISTORY_PAGE)

    def on_timeline_view_at_end(self) -> None:
        self._schedule_redraw()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._rooms.switch(self._rooms.all[event.option_index].room_id)
        self._draw_all(from_end=True)

    def action_page_up(self) -> None:
        self._timeline_view.page_up()

    def action_page_down(self) -> None:
        self._timeline_view.page_down()

    async def action_quit(self) -> None:
        self._quit()

    def action_step(self, by: int) -> None:
        self._rooms.step(by)
        self._draw_all(from_end=True)


async def run_terminal_chat(chat: Chat, room_id: str) -> None:
    """Run the full-screen chat until the user quits. Raises a `ClientError` if the first room cannot be joined."""
    room = chat.room(room_id)
    await room.join()
    app = ChatApp(chat, room)
    await app.run_async()
    if app.return_code:
        sys.exit(app.return_code)  # Textual has printed the failure
