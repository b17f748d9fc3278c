"""Blocking WebSockets over HTTP/1.1 and HTTP/2, for threads or (where gevent has patched the library) greenlets."""

from load.wire.address import Address, BadAddress
from load.wire.connector import Unreachable
from load.wire.http2 import Http2Connection
from load.wire.websocket import ABNORMAL_CLOSURE, Closed, UpgradeRefused, WebSocket

__all__ = [
    "ABNORMAL_CLOSURE",
    "Address",
    "BadAddress",
    "Closed",
    "Http2Connection",
    "Unreachable",
    "UpgradeRefused",
    "WebSocket",
]
