"""One big room: how late is a message that everybody hears?

A few talk (5, each every `--say-every` seconds), and all the others listen. This is where sending costs most: each
message goes to every user.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)

ROOM = "big-room"


class Sender(ChatUser):
    """One of the few."""

    fixed_count = 5

    def on_login(self) -> None:
        self.connection.recover(ROOM)

    def act(self) -> None:
        self.connection.listen(self.think_time())
        self.connection.send_message(self.options.chars)


class Recipient(ChatUser):
    """Hears, and says nothing."""

    def on_login(self) -> None:
        self.connection.recover(ROOM)

    def act(self) -> None:
        self.connection.listen(5.0)
