"""A reconnect storm: does everybody come back, and hear all that they have missed?

All but one in ten lose their line at the same moment, every `--drop-every` seconds, and come back within two seconds
to hear what the others have said meanwhile. Also tells what memory stays of each connection that is gone.
"""

import time
from argparse import ArgumentParser

import gevent
from locust import events

from load.plugin import at_least, install
from load.talker import RoomTalker

install(__file__)

COME_BACK_WITHIN = 2.0


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--drop-every", type=at_least(1.0), default=20.0, help="Seconds between two breaks")


class Stayer(RoomTalker):
    """Goes on talking, so that there is something to be missed."""

    weight = 1
    rooms = "storm"


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
