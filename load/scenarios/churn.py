"""Churn: what do joins, leaves and reconnects cost?

After each message, a user switches to a random room (3 in 5), leaves its room and joins a random one (1 in 5), or
disconnects and reconnects (1 in 5).
"""

from argparse import ArgumentParser

from locust import events

from load.chat_user import ChatUser
from load.plugin import at_least, install

install(__file__)


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rooms", type=at_least(2), default=10, help="Number of rooms")


class ChurningUser(ChatUser):
    """Changes rooms after each message."""

    def random_room(self) -> str:
        return f"churn-{self.random.randrange(self.options.rooms)}"

    def on_login(self) -> None:
        self.connection.join(self.random_room())

    def act(self) -> None:
        self.connection.listen(self.think_time())
        self.connection.send_message(self.options.chars)
        match self.random.randrange(5):
            case 0:
                self.connection.leave()
                self.connection.join(self.random_room())
            case 1:
                self.disconnect(clean=True)
            case _:
                self.connection.switch(self.random_room())
