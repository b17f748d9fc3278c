"""The chat that fills the terminal: rooms on the left, what is said in the middle, who is there on the right."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any, ClassVar, assert_never

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Paste
from textual.widgets import Input, OptionList, Static

from chat_actors.cli.terminal import typed
from chat_actors.cli.terminal.drawing import draw_members, draw_room, draw_status
from chat_actors.cli.terminal.rooms import Ended, OpenRoom, Rooms
from chat_actors.cli.terminal.tab import Tab
from chat_actors.cli.terminal.timeline_view import TimelineView
from chat_actors.client import Chat, ChatMessage, ClientError, Room

REDRAW_AFTER = 0.03
"""Seconds: however much is said, it is drawn so often at most."""

SIDE_BY_SIDE = 80
"""Columns: in a terminal with fewer, what is said has the whole width."""


class TypingLine(Input):
    """What is being typed."""

    def on_paste(self, event: Paste) -> None:
        """Paste all lines as one: of several, an `Input` would take the first and drop the rest."""
        event.prevent_default()
        event.stop()
        self.insert_text_at_cursor(" ".join(event.text.split()))


class ChatApp(App[None]):
    """All decisions are in the pure parts beside it; here they meet the keys, the screen and the server."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (SIDE_BY_SIDE, "-wide")]  # noqa: RUF012 - of an instance, says Textual
    CSS = """
    #status { height: 1; background: $panel; }
    #rooms, #members { width: 20; border: none; padding: 0 1; background: $surface; }
    #timeline { height: 1fr; scrollbar-gutter: stable; padding: 0 1; }
    #typing { border: none; height: 1; background: $panel; }
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
        """`first` is a room that has been joined."""
        super().__init__()
        self._chat = chat
        tab = self._make_tab(first)
        self._tabs = {first.room_id: tab}
        self._rooms = Rooms(tab.view)
        self._is_drawing_soon = False
        self._is_quitting = False
        self._leaving: OpenRoom | None = None  # in spite of what is on its way there, if asked once more

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        with Horizontal():
            yield OptionList(id="rooms", markup=False)
            with Vertical():
                yield TimelineView(self._chat.user_id)
                yield TypingLine(id="typing", placeholder="Say something, or /help")
            yield Static(id="members", markup=False)

    def on_mount(self) -> None:
        self.query_one("#rooms").can_focus = False
        self.query_one(Input).focus()
        self._begin(self._tab)

    # -- what is shown -----------------------------------------------------------------------------------------------

    @property
    def rooms(self) -> Rooms:
        """The rooms as they are shown."""
        return self._rooms

    @property
    def _tab(self) -> Tab:
        return self._tabs[self._rooms.current.room_id]

    @property
    def _timeline_view(self) -> TimelineView:
        return self.query_one(TimelineView)

    def _draw_soon(self) -> None:
        if not self._is_drawing_soon:
            self._is_drawing_soon = True
            self.set_timer(REDRAW_AFTER, self._draw_all)

    def _draw_all(self, *, from_end: bool = False) -> None:
        self._is_drawing_soon = False
        room = self._rooms.current
        self._timeline_view.show(room.timeline.lines, from_end=from_end)
        if self._timeline_view.is_at_end:
            self._rooms.seen()
        self.query_one("#status", Static).update(draw_status(room, self._chat.user_id, self._rooms.unread_elsewhere))
        self.query_one("#members", Static).update(draw_members(room.members, room.count))
        self._draw_rooms()

    def _draw_rooms(self) -> None:
        drawn = [
            Content.from_rich_text(draw_room(room, is_current=room is self._rooms.current)) for room in self._rooms.all
        ]
        listed = self.query_one(OptionList)
        if drawn != [option.prompt for option in listed.options]:
            listed.clear_options()
            listed.add_options(drawn)
        listed.highlighted = self._rooms.all.index(self._rooms.current)

    def _note(self, text: str, *, is_problem: bool = False) -> None:
        for line in text.splitlines():
            self._rooms.current.timeline.note(line, is_problem=is_problem)
        self._draw_all(from_end=True)

    # -- a room's own tasks ------------------------------------------------------------------------------------------

    def _make_tab(self, room: Room) -> Tab:
        return Tab(room, self._draw_soon, self._heard)

    def _heard(self, room: OpenRoom, message: ChatMessage) -> None:
        if message.user_id != self._chat.user_id:
            self._rooms.heard(room, is_seen=self._timeline_view.is_at_end)

    def _begin(self, tab: Tab) -> None:
        self._draw_all(from_end=True)
        self._run(tab.listen())
        self._run(tab.watch_members())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work)  # what it raises ends the program, and is told

    # -- what the user does ------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.clear()
        self._obey(typed.parse(event.value))

    def _obey(self, wish: typed.Wish | None) -> None:
        match wish:
            case None:
                pass
            case typed.Say(text=text):
                self._say(self._tab, text)
            case typed.Join(room_id=room_id):
                self._join(room_id)
            case typed.Switch(room_id=room_id):
                if not self._rooms.switch(room_id):
                    self._note(f"you are not in {room_id}; /join {room_id} goes there", is_problem=True)
                self._draw_all(from_end=True)
            case typed.Leave():
                self._leave(self._tab)
            case typed.Who():
                room = self._rooms.current
                named = ", ".join(room.members) + (", ..." if (room.count or 0) > len(room.members) else "")
                self._note(f"{room.count or 'nobody knows how many'} here: {named}")
            case typed.LoadHistory(count=count):
                if not self._earlier(count):
                    self._note("there is nothing earlier, or no room for it")
            case typed.Help():
                self._note(typed.HELP)
            case typed.Quit():
                self._quit()
            case typed.Wrong(problem=problem):
                self._note(problem, is_problem=True)
            case _:
                assert_never(wish)

    def _say(self, tab: Tab, text: str) -> None:
        n = tab.view.timeline.send(text)
        self._draw_all(from_end=True)

        async def say() -> None:
            if not await tab.say(text, n):
                self._is_quitting = False  # it is to be seen
            elif self._is_quitting and not self._unsent:
                self.exit()

        self._run(say())

    def _join(self, room_id: str) -> None:
        known = self._tabs.get(room_id)
        if known is not None and not isinstance(known.view.line, Ended):
            self._rooms.switch(room_id)
            self._draw_all(from_end=True)
            return

        async def join() -> None:
            room = self._chat.room(room_id)
            try:
                await room.join()
            except ClientError as error:
                await room.aclose()
                self._note(f"cannot join {room_id}: {error}", is_problem=True)
                return
            tab = self._make_tab(room)
            old, self._tabs[room_id] = self._tabs.get(room_id), tab
            self._rooms.open(tab.view)
            self._begin(tab)
            if old is not None:
                await old.close()

        self._run(join())

    @property
    def _unsent(self) -> int:
        return sum(tab.view.timeline.unsent for tab in self._tabs.values())

    def _quit(self) -> None:
        if self._is_quitting or not self._unsent:
            self.exit()
            return
        self._is_quitting = True
        self._note(f"{self._unsent} on the way to the server: leaving when it has all; /quit again leaves at once")

    def _leave(self, tab: Tab) -> None:
        if tab.view.timeline.unsent and self._leaving is not tab.view:
            self._leaving = tab.view
            self._note("what you said last is still on its way; /leave again leaves without it", is_problem=True)
            return
        if not self._rooms.close(tab.view.room_id):
            self._note("this is the only room that you are in; /quit leaves the chat", is_problem=True)
            return
        del self._tabs[tab.view.room_id]
        self._run(tab.close())
        self._draw_all(from_end=True)

    def _earlier(self, count: int) -> bool:
        """Load that many lines, if there may be any; whether there may."""
        tab = self._tab
        if tab.view.timeline.has_older:
            self._run(tab.load_earlier(count))
        return tab.view.timeline.has_older

    def on_timeline_view_at_top(self) -> None:
        self._earlier(typed.PAGE)

    def on_timeline_view_at_end(self) -> None:
        self._draw_soon()

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


async def chat_in_terminal(chat: Chat, room_id: str) -> None:
    """Fill the terminal with the chat, until the user quits. Raises what keeps them from the first room."""
    room = chat.room(room_id)
    await room.join()
    app = ChatApp(chat, room)
    await app.run_async()
    if app.return_code:
        sys.exit(app.return_code)  # it has failed, and told of it
