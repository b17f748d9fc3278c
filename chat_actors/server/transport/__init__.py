"""The seam to Hypercorn and Quart: the one folder that knows their inside.

Importing it changes nothing; `install()` puts our stream, protocol and server classes where Hypercorn looks its own up.
"""

from chat_actors.server.transport.control import EXTENSION, Control
from chat_actors.server.transport.install import install
from chat_actors.server.transport.quart_connection import ChatWebsocketConnection, PeerDisconnected
from chat_actors.server.transport.versions import UntestedVersion

__all__ = ["EXTENSION", "ChatWebsocketConnection", "Control", "PeerDisconnected", "UntestedVersion", "install"]
