"""Soak: do latency and memory stay stable for hours?

Users send messages in rooms of `--room-size`, and sometimes disconnect and reconnect. The server's memory must not
grow. Run it for at least an hour, for example with `--minutes 240`.
"""

from load.plugin import install
from load.room_user import RoomUser

install(__file__)


class RegularUser(RoomUser):
    """Sends messages, and disconnects after one in twenty."""

    room_prefix = "soak"

    def act(self) -> None:
        super().act()
        if self.random.random() < 0.05:
            self.disconnect(clean=self.random.random() < 0.5)
