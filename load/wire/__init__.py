"""WebSockets that block their caller, over HTTP/1.1 and HTTP/2: for threads, or where gevent has patched, greenlets."""

from load.wire.address import Address, BadAddress
from load.wire.http2 import Http2Connection
from load.wire.opening import Unreachable
from load.wire.websocket import NO_CLOSE, Closed, NotAccepted, WebSocket

__all__ = [
    "NO_CLOSE",
    "Address",
    "BadAddress",
    "Closed",
    "Http2Connection",
    "NotAccepted",
    "Unreachable",
    "WebSocket",
]
