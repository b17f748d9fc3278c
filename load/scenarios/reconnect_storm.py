"""A reconnect storm: does everybody come back, and hear all that they have missed?

All but one in ten lose their line at the same moment, every `--drop-every` seconds, and come back within two seconds
to hear what the others have said meanwhile. Also tells what memory stays of each connection that is gone.
"""

import time
from argparse import ArgumentParser

import gevent
from locust import events

from load.plugin import at_least, install
from load.room_user import RoomUser

install(__file__)

RECONNECT_SPREAD = 2.0


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--drop-every", type=at_least(1.0), default=20.0, help="Seconds between two breaks")


class StableUser(RoomUser):
    """Goes on talking, so that there is something to be missed."""

    weight = 1
    room_prefix = "storm"


class DroppingUser(StableUser):
    """Loses the line when all do."""

    weight = 9

    def act(self) -> None:
        interval = self.options.drop_every
        until_drop = interval - time.time() % interval  # by the clock, so that it is the same moment in all processes
        think_time = self.think_time()
        if think_time < until_drop:
            self.connection.listen(think_time)
            self.connection.send_message(self.options.chars)
            return
        self.connection.listen(until_drop)
        self.disconnect(clean=False)
        gevent.sleep(self.random.uniform(0.0, RECONNECT_SPREAD))
