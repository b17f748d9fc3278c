"""The seam to Hypercorn and Quart: the only package that uses their private names.

Importing it changes nothing; `install()` makes Hypercorn use our worker, connection, protocol and stream classes.
"""

from chat_actors.server.transport.carrier import anyio_context
from chat_actors.server.transport.control import EXTENSION, Bounds, Control, FrameWriter, Receiver
from chat_actors.server.transport.install import install
from chat_actors.server.transport.quart_connection import ChatWebsocketConnection, PeerDisconnected
from chat_actors.server.transport.versions import UntestedVersion
from chat_actors.server.transport.worker import worker_serve

__all__ = [
    "EXTENSION",
    "Bounds",
    "ChatWebsocketConnection",
    "Control",
    "FrameWriter",
    "PeerDisconnected",
    "Receiver",
    "UntestedVersion",
    "anyio_context",
    "install",
    "worker_serve",
]
