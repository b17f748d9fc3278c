"""Churn: what does it cost that people come and go?

Everybody says something, switches to another room, leaves it, joins the next, and now and then goes offline and comes
back.
"""

from argparse import ArgumentParser

from locust import events

from load.chat_user import ChatUser
from load.plugin import at_least, install

install(__file__)


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rooms", type=at_least(2), default=10, help="How many rooms there are to go to")


class Restless(ChatUser):
    """Never stays."""

    def a_room(self) -> str:
        return f"churn-{self.random.randrange(self.options.rooms)}"

    def enter(self) -> None:
        self.line.join(self.a_room())

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)
        match self.random.randrange(5):
            case 0:
                self.line.leave()
                self.line.join(self.a_room())
            case 1:
                self.leave_line(with_a_word=True)
            case _:
                self.line.switch(self.a_room())
