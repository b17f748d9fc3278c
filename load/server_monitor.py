"""The server from outside: its processor time and memory, by its process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import psutil

MIN_CONNECTS = 2000
"""With fewer, what a server grows by anyway as it warms up (some 4 MB: caches of SQLite, of the allocator) would be
taken for what they have left behind."""

MIN_SECONDS = 600.0
"""The same, for growth over time."""


class Sample(msgspec.Struct, frozen=True):
    """The server at one moment, and how busy the load was then."""

    at: float
    """Seconds since the epoch."""
    users: int
    connects: int
    """Connections made so far, each time anew."""
    cpu_percent: float
    """Of one core, since the sample before; NaN if there is no process to look at."""
    memory_bytes: float
    """Resident memory; NaN if there is no process to look at."""


def find_server(port: int) -> int | None:
    """The process of this machine that listens there; None if there is none, or it is somebody else's."""
    try:
        listening = [
            connection for connection in psutil.net_connections("tcp") if connection.status == psutil.CONN_LISTEN
        ]
    except psutil.AccessDenied:
        return None
    return next(
        (
            connection.pid
            for connection in listening
            if connection.laddr and connection.laddr.port == port and connection.pid
        ),
        None,
    )


class NoSuchServer(Exception):
    """There is no process of that number, or it may not be looked at."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid

    def __str__(self) -> str:
        return f"there is no process {self.pid} to be watched; leave --server-pid out, or name the server's"


class ServerMonitor:
    """Samples a process and its children."""

    def __init__(self, pid: int | None) -> None:
        """Raises `NoSuchServer`."""
        try:
            self._process = psutil.Process(pid) if pid is not None else None
        except psutil.Error:
            raise NoSuchServer(pid) from None
        self._last: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """For the report."""
        return "none was found" if self._process is None else f"process {self._process.pid}"

    def sample(self, at: float, users: int, connects: int) -> Sample:
        """Look at it now."""
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
    """What each connection costs while it is there: from the first sample to the one with the most users, of several to
    that with the most memory. NaN if nobody knows."""
    known = [sample for sample in samples if not math.isnan(sample.memory_bytes)]
    if (
        not known
        or (peak := max(known, key=lambda sample: (sample.users, sample.memory_bytes))).users <= known[0].users
    ):
        return math.nan
    return (peak.memory_bytes - known[0].memory_bytes) / 1024 / (peak.users - known[0].users)


def kib_kept_per_connection(samples: Iterable[Sample]) -> float:
    """What stays of each connection that has come and gone: growth while all users are there, after a first third.

    The slope of a line through memory over connections made (least squares), so that no single moment decides. NaN if
    fewer were made than `MIN_CONNECTS`.
    """
    points = [(sample.connects, sample.memory_bytes) for sample in _settled(samples)]
    if not points or points[-1][0] - points[0][0] < MIN_CONNECTS:
        return math.nan
    return _slope(points) / 1024


def mib_per_hour(samples: Iterable[Sample]) -> float:
    """How fast memory grows while all users are there, after a first third. NaN if that was under `MIN_SECONDS`."""
    points = [(sample.at, sample.memory_bytes) for sample in _settled(samples)]
    if not points or points[-1][0] - points[0][0] < MIN_SECONDS:
        return math.nan
    return _slope(points) * 3600 / 1024 / 1024


def _settled(samples: Iterable[Sample]) -> list[Sample]:
    known = [sample for sample in samples if not math.isnan(sample.memory_bytes)]
    peak = max((sample.users for sample in known), default=0)
    full = [sample for sample in known if sample.users == peak and peak]
    return full[len(full) // 3 :]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else math.nan
