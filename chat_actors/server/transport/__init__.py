"""The seam to Hypercorn and Quart: the one folder that knows their inside.

Importing it changes nothing; `install()` puts our stream, protocol and server classes where Hypercorn looks its own up.
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
