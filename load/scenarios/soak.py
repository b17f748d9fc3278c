"""A soak: does the server stay as it is, for hours?

Ordinary talk, in rooms of `--room-size`; now and then somebody goes offline and comes back. The server's memory must
not grow. Let it run for an hour at least: `--minutes 240`.
"""

from load.plugin import install
from load.room_user import RoomUser

install(__file__)


class RegularUser(RoomUser):
    """Talks, and sometimes loses the line."""

    room_prefix = "soak"

    def act(self) -> None:
        super().act()
        if self.random.random() < 0.05:
            self.disconnect(clean=self.random.random() < 0.5)
