"""The user of most scenarios: a member of one of many small rooms."""

from __future__ import annotations

from typing import ClassVar

from load.chat_user import ChatUser


class RoomUser(ChatUser):
    """Stays in a room of `--room-size`, sends a message every `--say-every` seconds, and listens in between."""

    abstract = True

    room_prefix: ClassVar[str] = ""
    """Prefix of the room ids; each scenario sets its own."""

    @property
    def room_id(self) -> str:
        """The room of this user. Load processes share no rooms."""
        return f"{self.room_prefix}-{self.worker}-{self.number // self.options.room_size}"

    def on_login(self) -> None:
        self.connection.recover(self.room_id)

    def act(self) -> None:
        self.connection.listen(self.think_time())
        self.connection.send_message(self.options.chars)
