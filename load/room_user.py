"""The simulated user of most scenarios: a member of one of many small rooms."""

from __future__ import annotations

from typing import ClassVar

from load.chat_user import ChatUser


class RoomUser(ChatUser):
    """Joins a room of `--room-size` users and receives; sends a message every `--say-every` seconds on average."""

    abstract = True

    room_prefix: ClassVar[str] = ""
    """Prefix of the room ids; each scenario sets its own."""

    @property
    def room_id(self) -> str:
        """The id of this user's room. Users of different load processes never share a room."""
        return f"{self.room_prefix}-{self.worker}-{self.number // self.options.room_size}"

    def on_login(self) -> None:
        self.connection.recover(self.room_id)

    def act(self) -> None:
        self.connection.listen(self.think_time())
        self.connection.send_message(self.options.chars)
