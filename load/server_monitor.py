"""CPU time and memory of the server, read from its process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import psutil

MIN_CONNECTS = 2000
"""Minimum number of connections for `kib_kept_per_connection`. With fewer, the growth of a server that warms up (about
4 MB: caches of SQLite and of the allocator) would count as memory kept by connections."""

MIN_SECONDS = 600.0
"""Minimum duration for `mib_per_hour`, for the same reason."""


class Sample(msgspec.Struct, frozen=True):
    """The server at one moment, and the load at that moment."""

    at: float
    """Unix time in seconds."""
    users: int
    """Users that are online."""
    connects: int
    """Connections opened since the test began; a reconnect counts again."""
    cpu_percent: float
    """Percent of one core since the previous sample; NaN if the process is unknown."""
    memory_bytes: float
    """Resident memory; NaN if the process is unknown."""


def find_server(port: int) -> int | None:
    """The process on this machine that listens on the port. None if there is none, or it may not be inspected."""
    try:
        listening = [sock for sock in psutil.net_connections("tcp") if sock.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return None
    return next((sock.pid for sock in listening if sock.laddr and sock.laddr.port == port and sock.pid), None)


class NoSuchServer(Exception):
    """There is no process with this id, or it may not be inspected."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid

    def __str__(self) -> str:
        return f"there is no process {self.pid} to monitor; omit --server-pid, or give the server's process id"


class ServerMonitor:
    """Samples a process and its children."""

    def __init__(self, pid: int | None) -> None:
        """Without a `pid`, every sample is NaN. Raises `NoSuchServer`."""
        try:
            self._process = psutil.Process(pid) if pid is not None else None
        except psutil.Error:
            raise NoSuchServer(pid) from None
        self._last: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The process, as shown in the report."""
        return "process unknown" if self._process is None else f"process {self._process.pid}"

    def sample(self, at: float, users: int, connects: int) -> Sample:
        """Sample the server now."""
        try:
            cpu_seconds, memory = self._read()
        except psutil.Error:
            return Sample(at, users, connects, math.nan, math.nan)
        before, self._last = self._last, (at, cpu_seconds)
        if before is None or at <= before[0]:
            percent = math.nan
        else:
            percent = max(0.0, cpu_seconds - before[1]) / (at - before[0]) * 100
        return Sample(at, users, connects, percent, memory)

    def _read(self) -> tuple[float, float]:
        if self._process is None:
            raise psutil.NoSuchProcess(0)
        processes = [self._process, *self._process.children(recursive=True)]
        return _sum(sum(p.cpu_times()[:2]) for p in processes), _sum(p.memory_info().rss for p in processes)


def _sum(numbers: Iterable[float]) -> float:
    return float(sum(numbers))


def kib_per_connection(samples: Iterable[Sample]) -> float:
    """Memory for each open connection: growth from the first sample to the one with the most users.

    Of several such samples, the one with the most memory counts. NaN if unknown.
    """
    known = [sample for sample in samples if not math.isnan(sample.memory_bytes)]
    if (
        not known
        or (peak := max(known, key=lambda sample: (sample.users, sample.memory_bytes))).users <= known[0].users
    ):
        return math.nan
    return (peak.memory_bytes - known[0].memory_bytes) / 1024 / (peak.users - known[0].users)


def kib_kept_per_connection(samples: Iterable[Sample]) -> float:
    """Memory that the server keeps for each closed connection.

    This is the slope of memory over opened connections (least squares, so that no single sample decides) while all
    users are online, without the first third of that time. NaN below `MIN_CONNECTS` connections.
    """
    points = [(sample.connects, sample.memory_bytes) for sample in _settled(samples)]
    if not points or points[-1][0] - points[0][0] < MIN_CONNECTS:
        return math.nan
    return _slope(points) / 1024


def mib_per_hour(samples: Iterable[Sample]) -> float:
    """Growth of memory while all users are online, without the first third. NaN below `MIN_SECONDS` seconds."""
    points = [(sample.at, sample.memory_bytes) for sample in _settled(samples)]
    if not points or points[-1][0] - points[0][0] < MIN_SECONDS:
        return math.nan
    return _slope(points) * 3600 / 1024 / 1024


def _settled(samples: Iterable[Sample]) -> list[Sample]:
    """The samples with the maximum number of users, without the first third."""
    known = [sample for sample in samples if not math.isnan(sample.memory_bytes)]
    peak = max((sample.users for sample in known), default=0)
    full = [sample for sample in known if sample.users == peak and peak]
    return full[len(full) // 3 :]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the least-squares line through the points."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    squares = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / squares if squares else math.nan
