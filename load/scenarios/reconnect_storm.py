"""A reconnect storm: does everybody come back, and hear all that they have missed?

All but one in ten lose their line at the same moment, every `--drop-every` seconds, and come back within two seconds
to hear what the others have said meanwhile. Also tells what memory stays of each connection that is gone.
"""

import time
from argparse import ArgumentParser

import gevent
from locust import events

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)

COME_BACK_WITHIN = 2.0


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--drop-every", type=float, default=20.0, help="Seconds between two breaks of all lines")


class Stayer(ChatUser):
    """Goes on talking, so that there is something to be missed."""

    weight = 1

    def enter(self) -> None:
        self.line.recover(f"storm-{self.worker}-{self.number // self.options.room_size}")

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)


class Dropper(Stayer):
    """Loses the line when all do."""

    weight = 9

    def act(self) -> None:
        every = self.options.drop_every
        until_drop = every - time.time() % every  # by the clock, so that it is the same moment in all processes
        pause = self.pause()
        if pause < until_drop:
            self.line.listen(pause)
            self.line.say(self.options.chars)
            return
        self.line.listen(until_drop)
        self.leave_line(with_a_word=False)
        gevent.sleep(self.random.uniform(0.0, COME_BACK_WITHIN))
