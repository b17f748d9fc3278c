"""What a WebSocket needs of the protocol that carries it, HTTP/1.1 or HTTP/2. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Protocol

LINGER = 0.9
"""Seconds that a client gets, after our last byte, to read why it was closed and to end its own half.

Closing at once, with bytes of the client still unread, makes the kernel send a reset, and a reset may overtake the
Close frame (RFC 6455, section 7.1.1, has the server wait for this reason). Short of a second, so that who is evicted
is gone within one.
"""


try:
    import sniffio
except ModuleNotFoundError:  # it comes with trio; without it anyio needs no telling
    sniffio = None  # type: ignore[assignment]  # the usual way to say that an optional module is missing


def anyio_context() -> Context:
    """A context in which anyio knows that it is on asyncio.

    sniffio tells that by the task, and a callback has none; and where there is one, to be told takes it 2 µs less.
    """
    context = copy_context()
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return context


class Sink(Protocol):
    """What the bytes of one WebSocket go to. Called in the connection's own turn; nothing here waits."""

    def received(self, data: bytes) -> None:
        """The client has sent this."""

    def peer_ended(self) -> None:
        """The client has ended its half: nothing more will come, but it may still read."""

    def lost(self) -> None:
        """The connection, or the stream, is gone both ways."""

    def overflowed(self) -> None:
        """More waits to be sent than `bound` allows."""


class Carrier(Protocol):
    """For one WebSocket; once that is gone its calls do nothing."""

    context: Context
    """What callbacks about this WebSocket run in."""

    outlives_its_app: bool
    """Whether the client's last bytes are still to be read when the app has ended: closing would reset them."""

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the app, in a task that ends with the connection at the latest."""

    def forget_request(self) -> None:
        """The request that opened the WebSocket is not needed any more."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Send behind what was sent before."""

    def is_closing(self) -> bool:
        """Whether nothing more can be sent, although the sink may not have been told yet."""

    def backlog(self) -> int:
        """Bytes that wait to be sent."""

    def bound(self, backlog_bytes: int) -> None:
        """From here on tell the sink, once, when more than this waits."""

    def pause(self) -> None:
        """Read no more from this client than what is on its way already."""

    def resume(self) -> None:
        """All that came so far has been taken: the client may send as much again."""

    def finish(self, *, peer_is_done: bool) -> None:
        """Nothing more will be written: end our half behind what waits, and all of it within `LINGER` seconds."""

    def abort(self) -> None:
        """End now and throw away what waits."""
