"""One big room: what is the latency of a message that goes to every user?

Five users send a message every `--say-every` seconds each; all others only receive. Fan-out dominates the server's
cost.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)

ROOM = "big-room"


class Sender(ChatUser):
    """One of the five senders."""

    fixed_count = 5

    def on_login(self) -> None:
        self.connection.recover(ROOM)

    def act(self) -> None:
        self.connection.listen(self.think_time())
        self.connection.send_message(self.options.chars)


class Recipient(ChatUser):
    """Only receives."""

    def on_login(self) -> None:
        self.connection.recover(ROOM)

    def act(self) -> None:
        self.connection.listen(5.0)
