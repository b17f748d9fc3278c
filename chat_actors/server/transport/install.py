"""Replaces classes of Hypercorn by ours."""

from __future__ import annotations

import hypercorn.asyncio
import hypercorn.asyncio.run
import hypercorn.protocol
import hypercorn.protocol.h2
import hypercorn.protocol.h11

from chat_actors.server.transport.http1 import ChatH11Protocol
from chat_actors.server.transport.http2 import ChatH2Protocol
from chat_actors.server.transport.stream_buffer import BoundedStreamBuffer
from chat_actors.server.transport.versions import check_versions
from chat_actors.server.transport.websocket_stream import ChatStream
from chat_actors.server.transport.worker import worker_serve

_REPLACED = (
    (hypercorn.protocol.h11, "WSStream", ChatStream),
    (hypercorn.protocol.h2, "WSStream", ChatStream),
    (hypercorn.protocol.h2, "StreamBuffer", BoundedStreamBuffer),
    (hypercorn.protocol, "H11Protocol", ChatH11Protocol),
    (hypercorn.protocol, "H2Protocol", ChatH2Protocol),
    (hypercorn.asyncio, "worker_serve", worker_serve),
    (hypercorn.asyncio.run, "worker_serve", worker_serve),
)


def install() -> None:
    """Make Hypercorn use our classes, in this process, from the next connection on. Idempotent.

    Replaces names in Hypercorn's modules, since it has no setting for these classes; so it also works for an app that
    plain `hypercorn` runs. Raises `UntestedVersion`.
    """
    check_versions()
    for module, name, replacement in _REPLACED:
        setattr(module, name, replacement)
