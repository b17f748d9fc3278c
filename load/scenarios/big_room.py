"""One big room: how late is a message that everybody hears?

A few talk (5, each every `--say-every` seconds), and all the others listen. This is where sending costs most: each
message goes to every user.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)

ROOM = "big-room"


class Talker(ChatUser):
    """One of the few."""

    fixed_count = 5

    def enter(self) -> None:
        self.line.recover(ROOM)

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)


class Audience(ChatUser):
    """Hears, and says nothing."""

    def enter(self) -> None:
        self.line.recover(ROOM)

    def act(self) -> None:
        self.line.listen(5.0)
