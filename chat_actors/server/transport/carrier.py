"""The interface between a WebSocket and the protocol that carries it, HTTP/1.1 or HTTP/2. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Protocol

LINGER = 0.9
"""Seconds that a client has, after our last byte, to read the Close frame and to end its own half.

If the server closed at once, with bytes of the client still unread, the kernel would send a reset, which may overtake
the Close frame; RFC 6455, section 7.1.1, has the server wait for this reason. Less than one second, so that evicted
clients are disconnected within a second.
"""


try:
    import sniffio
except ModuleNotFoundError:  # it comes with trio; without trio, anyio assumes asyncio
    sniffio = None  # type: ignore[assignment]  # an optional module


def anyio_context() -> Context:
    """A context in which sniffio finds that it runs on asyncio.

    sniffio otherwise looks at the current task, and a callback has none. Where there is a task, this saves 2 µs.
    """
    context = copy_context()
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return context


class Sink(Protocol):
    """Receives the bytes of one WebSocket. The connection's callbacks call it, so it must not wait."""

    def received(self, data: bytes) -> None:
        """The client has sent these bytes."""

    def peer_ended(self) -> None:
        """The client has ended its half: it sends nothing more, but may still read."""

    def lost(self) -> None:
        """The connection, or the stream, is closed in both directions."""

    def overflowed(self) -> None:
        """More bytes wait to be sent than `bound` allows."""


class Carrier(Protocol):
    """Carries one WebSocket. After the end of the connection or stream, its methods do nothing."""

    context: Context
    """The context of callbacks about this WebSocket."""

    outlives_its_app: bool
    """Whether the client's last bytes must still be read when the app has ended, because closing would reset them."""

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the app, in a task that ends with the connection at the latest."""

    def forget_request(self) -> None:
        """Release the request that opened the WebSocket."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Send bytes behind what was sent before."""

    def is_closing(self) -> bool:
        """Whether nothing more can be sent. The sink may not have been notified yet."""

    def backlog(self) -> int:
        """Bytes that wait to be sent."""

    def bound(self, backlog_bytes: int) -> None:
        """Notify the sink, once, when more than this waits."""

    def pause(self) -> None:
        """Stop reading from this client; bytes that are already on their way may still arrive."""

    def resume(self) -> None:
        """Everything received so far has been consumed: read on."""

    def finish(self, *, peer_is_done: bool) -> None:
        """Nothing more will be written: end our half behind what waits, and the whole within `LINGER` seconds."""

    def abort(self) -> None:
        """End now and discard what waits."""
