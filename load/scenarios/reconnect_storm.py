"""Reconnect storm: do all users recover, and receive every missed message?

Every `--drop-every` seconds, nine users in ten lose their connections at the same moment. They reconnect within two
seconds and receive the messages that the others sent meanwhile. Also measures the memory kept per closed connection.
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
    parser.add_argument("--drop-every", type=at_least(1.0), default=20.0, help="Seconds between two disconnects")


class StableUser(RoomUser):
    """Stays connected and sends messages for the others to miss."""

    weight = 1
    room_prefix = "storm"


class DroppingUser(StableUser):
    """Loses its connection at the common moment."""

    weight = 9

    def act(self) -> None:
        interval = self.options.drop_every
        until_drop = interval - time.time() % interval  # by the clock: the same moment in all processes
        think_time = self.think_time()
        if think_time < until_drop:
            self.connection.listen(think_time)
            self.connection.send_message(self.options.chars)
            return
        self.connection.listen(until_drop)
        self.disconnect(clean=False)
        gevent.sleep(self.random.uniform(0.0, RECONNECT_SPREAD))
