"""Steady load: what is the latency of a message in ordinary use?

Users in many small rooms (`--room-size`) send a message every `--say-every` seconds; one time in twenty they read a
page of history instead. Every user checks that no message is missing, duplicated or out of order.
"""

from load.plugin import install
from load.room_user import RoomUser

install(__file__)


class RegularUser(RoomUser):
    """Sends messages in one room and sometimes reads its history."""

    room_prefix = "steady"

    def act(self) -> None:
        self.connection.listen(self.think_time())
        if self.random.random() < 0.05:
            self.connection.read_history()
        else:
            self.connection.send_message(self.options.chars)
