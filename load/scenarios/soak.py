"""A soak: does the server stay as it is, for hours?

Ordinary talk, in rooms of `--room-size`; now and then somebody goes offline and comes back. The server's memory must
not grow. Let it run for an hour at least: `--minutes 240`.
"""

from load.plugin import install
from load.talker import RoomTalker

install(__file__)


class Regular(RoomTalker):
    """Talks, and sometimes loses the line."""

    rooms = "soak"

    def act(self) -> None:
        super().act()
        if self.random.random() < 0.05:
            self.leave_line(with_a_word=self.random.random() < 0.5)
