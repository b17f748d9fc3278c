"""Steady talk: how late is a message on an ordinary day?

People in many small rooms (`--room-size`), each of whom says something now and then (`--say-every`), looks back into
the room's history once in twenty times, and listens in between. Everybody checks that nothing is missing, twice, or out
of order.
"""

from load.plugin import install
from load.talker import RoomTalker

install(__file__)


class Talker(RoomTalker):
    """Stays in one room and talks."""

    rooms = "steady"

    def act(self) -> None:
        self.line.listen(self.pause())
        if self.random.random() < 0.05:
            self.line.read_history()
        else:
            self.line.say(self.options.chars)
