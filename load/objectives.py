"""What a server has to reach in a scenario, and whether it did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from load import operations
from load.records import Records, Summary
from load.server_monitor import Sample, kib_kept_per_connection, kib_per_connection, mib_per_hour

MAX_LAG_MS = 50.0
"""Milliseconds at p99 by which the load itself may be late: beyond, its times are more its own than the server's."""


class OperationLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that an exchange may take, in milliseconds; and how many there must be for this to mean anything."""

    p50: float = math.inf
    p95: float = math.inf
    p99: float = math.inf
    p99_9: float = math.inf
    longest: float = math.inf
    at_least: int = 1


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one scenario. A limit on memory is not judged where the server's process cannot be seen."""

    failure_ratio: float = 0.0
    """The most exchanges that may fail, of all."""

    evictions: int = 0
    """The most connections that the server may close as too slow (4008) although they read."""

    kib_per_connection: float = math.inf
    """The most memory for each connection that is there."""

    kib_kept_per_connection: float = math.inf
    """The most memory that may stay of each connection that has come and gone."""

    mib_per_hour: float = math.inf
    """How fast memory may grow."""

    operations: Mapping[str, OperationLimits] = {}


class Finding(msgspec.Struct, frozen=True):
    """One limit, and what was measured."""

    what: str
    limit: float
    measured: float
    unit: str
    is_lower_bound: bool = False

    @property
    def is_known(self) -> bool:
        return not math.isnan(self.measured)

    @property
    def is_met(self) -> bool:
        """Whether it holds; also if it could not be measured."""
        if not self.is_known:
            return True
        return self.measured >= self.limit if self.is_lower_bound else self.measured <= self.limit

    @property
    def result(self) -> str:
        """In one word or two."""
        return "not measured" if not self.is_known else "met" if self.is_met else "BREACHED"


class BadObjectives(Exception):
    """A file holds no objectives."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"no objectives in {self.path}: {self.problem}"


def load_objectives(path: Path) -> Objectives:
    """Read a TOML file. Raises `BadObjectives`."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Objectives)
    except (OSError, UnicodeError, msgspec.MsgspecError) as error:
        raise BadObjectives(path, str(error)) from None


def judge(objectives: Objectives, records: Records, samples: Sequence[Sample]) -> Sequence[Finding]:
    """Each limit of the objectives with what was measured, those that were breached first."""
    return sorted(_findings(objectives, records, samples), key=lambda finding: finding.is_met)


def evictions(records: Records) -> int:
    """Connections that the server closed as too slow although they read."""
    return records.failures(operations.closed(4008))


def _findings(objectives: Objectives, records: Records, samples: Sequence[Sample]) -> Iterator[Finding]:
    ratio = records.failures() / total if (total := records.operations - records.count(operations.LAG)) else math.nan
    yield Finding("failed exchanges", objectives.failure_ratio * 100, ratio * 100, "%")
    yield Finding("evictions of clients that read", objectives.evictions, evictions(records), "")
    for name, times in objectives.operations.items():
        yield from _judge_operation(name, times, records)
    for what, limit, measure, unit in (
        ("memory for each connection", objectives.kib_per_connection, kib_per_connection, "KiB"),
        ("memory kept of each connection", objectives.kib_kept_per_connection, kib_kept_per_connection, "KiB"),
        ("growth of memory", objectives.mib_per_hour, mib_per_hour, "MiB/h"),
    ):
        if limit < math.inf:
            yield Finding(what, limit, measure(samples), unit)


def breaches_between(objectives: Objectives, records: Records, users: int, since: float, until: float) -> Sequence[str]:
    """What was breached between two times, in seconds since the epoch, while so many users should have been there.

    Memory is not judged, nor how many there were of each exchange. That nothing happened, or that not everybody came
    in, is a breach. So is that the load itself was late: nobody knows then what the server would have done.
    """
    breaches = []
    if (came := records.count(operations.AUTHENTICATE)) < users:
        breaches.append(f"only {came} of {users} users logged in")
    if not any(records.summary(name, since, until).count for name in records.names if name != operations.LAG):
        breaches.append("nothing happened")
    for name, times in objectives.operations.items():
        findings = _judge_times(name, times, records.summary(name, since, until))
        breaches += [f"{f.what} {f.measured:.0f} ms" for f in findings if not f.is_met]
    failures = sum(records.summary(name, since, until).failures for name in records.names)
    if failures:
        breaches.append(f"{failures} exchanges failed")
    lag = records.summary(operations.LAG, since, until).p99
    if lag > MAX_LAG_MS:
        breaches.append(f"the load itself was late, by {lag:.0f} ms")
    return breaches


def _judge_operation(name: str, times: OperationLimits, records: Records) -> Iterator[Finding]:
    summary = records.summary(name)
    yield Finding(f"{name}, how many", times.at_least, summary.count, "", is_lower_bound=True)
    yield from _judge_times(name, times, summary)


def _judge_times(name: str, times: OperationLimits, summary: Summary) -> Iterator[Finding]:
    for what, limit, measured in (
        ("p50", times.p50, summary.p50),
        ("p95", times.p95, summary.p95),
        ("p99", times.p99, summary.p99),
        ("p99.9", times.p99_9, summary.p99_9),
        ("longest", times.longest, summary.longest),
    ):
        if limit < math.inf:
            yield Finding(f"{name}, {what}", limit, measured, "ms")
