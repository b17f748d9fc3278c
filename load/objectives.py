"""The objectives of a scenario, and whether the measurements meet them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from load import operations
from load.records import Records, Summary
from load.server_monitor import Sample, kib_kept_per_connection, kib_per_connection, mib_per_hour

MAX_LAG_MS = 50.0
"""Milliseconds at p99. Above it, the latencies show the load generator rather than the server."""


class OperationLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for one operation: latencies in milliseconds, and the fewest samples that make them meaningful."""

    p50: float = math.inf
    p95: float = math.inf
    p99: float = math.inf
    p99_9: float = math.inf
    longest: float = math.inf
    at_least: int = 1


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The objectives of one scenario. Memory limits are not judged if the server's process is unknown."""

    failure_ratio: float = 0.0
    """Maximum share of operations that may fail."""

    evictions: int = 0
    """Maximum number of reading clients that the server may close as too slow (4008)."""

    kib_per_connection: float = math.inf
    """Maximum memory for each open connection."""

    kib_kept_per_connection: float = math.inf
    """Maximum memory that the server may keep for each closed connection."""

    mib_per_hour: float = math.inf
    """Maximum growth of the server's memory."""

    operations: Mapping[str, OperationLimits] = {}


class Finding(msgspec.Struct, frozen=True):
    """One limit and the measured value."""

    objective: str
    limit: float
    measured: float
    unit: str
    is_lower_bound: bool = False

    @property
    def is_known(self) -> bool:
        return not math.isnan(self.measured)

    @property
    def is_met(self) -> bool:
        """Whether the limit holds. An unmeasured value counts as met."""
        if not self.is_known:
            return True
        return self.measured >= self.limit if self.is_lower_bound else self.measured <= self.limit

    @property
    def result(self) -> str:
        """The result as shown in tables."""
        return "not measured" if not self.is_known else "met" if self.is_met else "BREACHED"


class BadObjectives(Exception):
    """A file does not contain valid objectives."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot read the objectives in {self.path}: {self.problem}"


def load_objectives(path: Path) -> Objectives:
    """Read a TOML file. Raises `BadObjectives`."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Objectives)
    except (OSError, UnicodeError, msgspec.MsgspecError) as error:
        raise BadObjectives(path, str(error)) from None


def judge(objectives: Objectives, records: Records, samples: Sequence[Sample]) -> Sequence[Finding]:
    """Compare each limit with the measured value; breached limits come first."""
    return sorted(_findings(objectives, records, samples), key=lambda finding: finding.is_met)


def evictions(records: Records) -> int:
    """The number of reading clients that the server closed as too slow."""
    return records.failures(operations.closed(4008))


def _findings(objectives: Objectives, records: Records, samples: Sequence[Sample]) -> Iterator[Finding]:
    ratio = records.failures() / total if (total := records.operations - records.count(operations.LAG)) else math.nan
    yield Finding("failed operations", objectives.failure_ratio * 100, ratio * 100, "%")
    yield Finding("evictions of clients that read", objectives.evictions, evictions(records), "")
    for name, limits in objectives.operations.items():
        yield from _judge_operation(name, limits, records)
    for objective, limit, measure, unit in (
        ("memory per open connection", objectives.kib_per_connection, kib_per_connection, "KiB"),
        ("memory kept per closed connection", objectives.kib_kept_per_connection, kib_kept_per_connection, "KiB"),
        ("memory growth", objectives.mib_per_hour, mib_per_hour, "MiB/h"),
    ):
        if limit < math.inf:
            yield Finding(objective, limit, measure(samples), unit)


def breaches_between(objectives: Objectives, records: Records, users: int, since: float, until: float) -> Sequence[str]:
    """List the objectives that were breached in a time window with `users` expected users.

    `since` and `until` are Unix times in seconds. Memory limits and `at_least` are not judged. Missing logins,
    a window without operations, and a late load generator count as breaches: the window then says nothing about the
    server.
    """
    breaches = []
    if (logged_in := records.count(operations.AUTHENTICATE)) < users:
        breaches.append(f"only {logged_in} of {users} users logged in")
    if not any(records.summary(name, since, until).count for name in records.names if name != operations.LAG):
        breaches.append("no operation finished")
    for name, limits in objectives.operations.items():
        findings = _judge_latencies(name, limits, records.summary(name, since, until))
        breaches += [f"{f.objective} {f.measured:.0f} ms" for f in findings if not f.is_met]
    failures = sum(records.summary(name, since, until).failures for name in records.names)
    if failures:
        breaches.append(f"{failures} operations failed")
    lag = records.summary(operations.LAG, since, until).p99
    if lag > MAX_LAG_MS:
        breaches.append(f"the load generator was late by {lag:.0f} ms")
    return breaches


def _judge_operation(name: str, limits: OperationLimits, records: Records) -> Iterator[Finding]:
    summary = records.summary(name)
    yield Finding(f"{name}, count", limits.at_least, summary.count, "", is_lower_bound=True)
    yield from _judge_latencies(name, limits, summary)


def _judge_latencies(name: str, limits: OperationLimits, summary: Summary) -> Iterator[Finding]:
    for statistic, limit, measured in (
        ("p50", limits.p50, summary.p50),
        ("p95", limits.p95, summary.p95),
        ("p99", limits.p99, summary.p99),
        ("p99.9", limits.p99_9, summary.p99_9),
        ("longest", limits.longest, summary.longest),
    ):
        if limit < math.inf:
            yield Finding(f"{name}, {statistic}", limit, measured, "ms")
