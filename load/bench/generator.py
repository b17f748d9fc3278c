"""The load generator: all clients of one round in one thread, on two epolls (prompt and bulk)."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence

from load.bench.connection import Connection
from load.bench.counting import ReadBuffer
from load.bench.dialects import Dialect, Member, Script

_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
_MAX_CONCURRENT = 64
_MAX_EVENTS = 8192
_TICK = 0.05

_BULK_INTERVAL = 0.01
"""Seconds between two reads of bulk connections. Each read then takes many messages, and the cost is in the reads."""

_BULK_BATCH = 32


class NotReady(Exception):
    """A precondition of the measurement was not reached in time."""

    def __init__(self, condition: str, timeout: float) -> None:
        self.condition = condition
        self.timeout = timeout

    def __str__(self) -> str:
        return f"{self.condition} after {self.timeout:.0f} s"


class LostMembers(Exception):
    """Connections ended that should have stayed open, so the measurement is invalid."""

    def __init__(self, count: int, reason: str) -> None:
        self.count = count
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.count} members were lost: {self.reason}"


class LoadGenerator:
    """The clients of one server. They make progress only while one of its methods runs.

    Each poll reads every ready socket once, so that all are drained evenly.
    """

    def __init__(self, port: int, dialect: Dialect) -> None:
        self.dialect = dialect
        self.connections: list[Connection] = []
        self._port = port
        self._buffer = ReadBuffer()
        self._epoll = select.epoll()
        self._bulk = select.epoll()
        self._bulk_size = self._bulk_left = 0
        self._next_bulk = 0.0
        self._by_fd: dict[int, Connection] = {}
        self._writing: set[int] = set()

    def join(
        self,
        members: Iterable[Member],
        timeout: float,
        *,
        concurrency: int = _MAX_CONCURRENT,
        segment_bytes: int | None = None,
    ) -> list[Connection]:
        """Join these members to their rooms, up to `concurrency` at once.

        Raises `NotReady`, `LostMembers`, `RefusedByServer`.
        """
        join_script = self.dialect.join_script
        return self.run_scripts(
            [join_script(member) for member in members], timeout, concurrency=concurrency, segment_bytes=segment_bytes
        )

    def run_scripts(
        self,
        scripts: Sequence[Script],
        timeout: float,
        *,
        concurrency: int = _MAX_CONCURRENT,
        segment_bytes: int | None = None,
    ) -> list[Connection]:
        """Open a connection for each script, and wait until all scripts have finished. Raises as `join`."""
        deadline = time.perf_counter() + timeout
        in_progress: list[Connection] = []
        opened: list[Connection] = []
        pending = iter(scripts)
        while len(opened) < len(scripts) or in_progress:
            while len(in_progress) < concurrency and (script := next(pending, None)) is not None:
                connection = self._open(script, segment_bytes)
                in_progress.append(connection)
                opened.append(connection)
            self._poll(_TICK)
            lost = [one.end_reason for one in in_progress if one.phase == "ended"]
            if lost:
                raise LostMembers(len(lost), lost[0])
            in_progress = [one for one in in_progress if not one.is_ready]
            if time.perf_counter() > deadline:
                ready = sum(connection.is_ready for connection in opened)
                raise NotReady(f"only {ready} of {len(scripts)} clients were ready", timeout)
        return opened

    def settle(self, quiet: float, timeout: float) -> None:
        """Read until nothing has arrived for `quiet` seconds. Raises `NotReady`."""
        start = last = time.perf_counter()
        while time.perf_counter() - last < quiet:
            if self._poll(min(quiet, _TICK)):
                last = time.perf_counter()
            if last - start > timeout:
                raise NotReady("messages were still arriving", timeout)

    def run(self, seconds: float, timer: Callable[[], float] | None = None) -> None:
        """Run all clients for `seconds`. `timer()` does what is due and returns the seconds until its next call."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self._poll(min(left, _TICK if timer is None else max(0.0, timer())))

    def run_until(
        self, condition: Callable[[], bool], timeout: float, timer: Callable[[], float] | None = None
    ) -> bool:
        """Run until the condition holds, checked twenty times a second. Returns whether it held in time."""
        deadline = time.perf_counter() + timeout
        while not condition():
            if time.perf_counter() > deadline:
                return False
            self.run(_TICK, timer)
        return True

    def stop_reading(self, connection: Connection) -> None:
        """Never read from this connection again, like a client that hangs."""
        self._epoll.unregister(connection.fd)
        del self._by_fd[connection.fd]

    def read_promptly(self, prompt: Iterable[Connection]) -> None:
        """Read these connections as soon as data arrives, since their timing matters; all others every 10 ms."""
        prompt_fds = {connection.fd for connection in prompt}
        bulk_fds = self._by_fd.keys() - prompt_fds
        for fd in bulk_fds:
            self._epoll.unregister(fd)
            self._bulk.register(fd, _READ)
        self._bulk_size = self._bulk_left = len(bulk_fds)

    @property
    def deliveries(self) -> int:
        """Chat messages that all connections have counted. Watched connections do not count."""
        return sum(connection.tally.chats for connection in self.connections)

    @property
    def received_bytes(self) -> int:
        return sum(connection.received_bytes for connection in self.connections)

    def check_no_member_lost(self) -> None:
        """Raises `LostMembers` if any connection has ended."""
        ended = [connection for connection in self.connections if connection.phase == "ended"]
        if ended:
            raise LostMembers(len(ended), ended[0].end_reason)

    def close(self) -> None:
        """End all connections with a TCP reset, which leaves no port in TIME_WAIT."""
        for connection in self.connections:
            if connection.phase != "ended":
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.end("the round is over")
        self._by_fd.clear()
        self._epoll.close()
        self._bulk.close()

    def _open(self, script: Script, segment_bytes: int | None) -> Connection:
        connection = Connection(self._port, self.dialect.path, script, self._buffer, segment_bytes=segment_bytes)
        self.connections.append(connection)
        self._by_fd[connection.fd] = connection
        self._epoll.register(connection.fd, _READ)
        return connection

    def _poll(self, timeout: float) -> int:
        now = time.perf_counter()
        ready = self._epoll.poll(max(0.0, min(timeout, self._next_bulk - now)), _MAX_EVENTS)
        if self._next_bulk <= time.perf_counter():
            ready += self._poll_bulk()
        for fd, event in ready:
            connection = self._by_fd[fd]
            if event & _WRITE:
                connection.flush()
            if event & ~_WRITE:
                connection.receive()
            if connection.phase == "ended":
                # Closing the socket has removed it from its epoll.
                del self._by_fd[fd]
                self._writing.discard(fd)
            elif connection.wants_to_write != (fd in self._writing):
                self._watch_writing(connection)
        return len(ready)

    def _poll_bulk(self) -> list[tuple[int, int]]:
        """Ready bulk connections, a batch at a time, so that prompt connections are read in between."""
        ready = self._bulk.poll(0, _BULK_BATCH)
        self._bulk_left -= len(ready)
        if len(ready) < _BULK_BATCH or self._bulk_left <= 0:
            self._next_bulk = time.perf_counter() + _BULK_INTERVAL
            self._bulk_left = self._bulk_size
        return ready

    def _watch_writing(self, connection: Connection) -> None:
        if connection.wants_to_write:
            self._writing.add(connection.fd)
            self._epoll.modify(connection.fd, _READ | _WRITE)
        else:
            self._writing.discard(connection.fd)
            self._epoll.modify(connection.fd, _READ)
