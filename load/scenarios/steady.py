"""Steady talk: how late is a message on an ordinary day?

People in many small rooms (`--room-size`), each of whom says something now and then (`--say-every`), looks back into
the room's history once in twenty times, and listens in between. Everybody checks that nothing is missing, twice, or out
of order.
"""

from load.plugin import install
from load.room_user import RoomUser

install(__file__)


class RegularUser(RoomUser):
    """Stays in one room and talks."""

    room_prefix = "steady"

    def act(self) -> None:
        self.connection.listen(self.think_time())
        if self.random.random() < 0.05:
            self.connection.read_history()
        else:
            self.connection.send_message(self.options.chars)
