"""The verdict of a load test, as text and as tables."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from load import operations
from load.measurements import Measurements
from load.objectives import MAX_LAG_MS, Finding, Objectives, judge
from load.records import OTHER_REASONS, Records, Summary

MAX_SHOWN_REASONS = 20
"""Number of failure reasons in a verdict; the less frequent ones are counted together."""


class Verdict(msgspec.Struct, frozen=True):
    """The measurements of a load test, compared with its objectives."""

    scenario: str
    server: str
    began: str
    seconds: float
    users: int
    findings: Sequence[Finding]
    summaries: dict[str, Summary]
    reasons: dict[str, int]
    notes: Sequence[str]
    problems: Sequence[str]

    @classmethod
    def of(cls, measurements: Measurements, objectives: Objectives) -> Verdict:
        records = measurements.records
        return cls(
            measurements.scenario,
            measurements.server,
            time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(measurements.began)),
            measurements.ended - measurements.began,
            max((sample.users for sample in measurements.samples), default=0),
            judge(objectives, records, measurements.samples),
            {name: records.summary(name) for name in records.names},
            _most_common(records.reasons),
            [*_lag_notes(records), *measurements.notes],
            list(measurements.problems),
        )

    @property
    def is_met(self) -> bool:
        """Whether no objective was breached and the test ran as planned."""
        return not self.problems and all(finding.is_met for finding in self.findings)

    @property
    def operations(self) -> Sequence[Sequence[str]]:
        """A table with a header row: the latencies of each operation."""
        head = ("operation", "count", "failed", "per second", "p50 ms", "p95", "p99", "p99.9", "longest")
        rows = [(name, *map(format_number, msgspec.structs.astuple(s))) for name, s in self.summaries.items()]
        return [head, *rows]

    @property
    def objectives(self) -> Sequence[Sequence[str]]:
        """A table with a header row: each limit and the measured value."""
        return [("objective", "limit", "measured", ""), *(_objective(finding) for finding in self.findings)]

    @property
    def failures(self) -> Sequence[Sequence[str]]:
        """A table with a header row: each failure reason and its count."""
        return [("failure", "count"), *((reason, format_number(count)) for reason, count in self.reasons.items())]

    @property
    def outcome(self) -> str:
        """The verdict in one line."""
        breached = sum(not finding.is_met for finding in self.findings)
        unknown = sum(not finding.is_known for finding in self.findings)
        if self.is_met:
            outcome = "PASSED: no objective was breached"
        else:
            failed = [f"{breached} objective{'s' if breached > 1 else ''} breached"] if breached else []
            outcome = f"FAILED: {'; '.join([*failed, *self.problems])}"
        return outcome + (f"; {unknown} not measured" if unknown else "")

    def as_text(self) -> str:
        """The verdict for a terminal."""
        title = f"\n{self.scenario} on {self.server}: {self.users} users, {self.seconds:.0f} s"
        tables = [self.operations, self.objectives, *([self.failures] if self.reasons else [])]
        return "\n\n".join([title, *(_in_columns(rows) for rows in tables), *self.notes, self.outcome])


def _most_common(reasons: Counter[str]) -> dict[str, int]:
    shown = dict(reasons.most_common(MAX_SHOWN_REASONS))
    if rest := reasons.total() - sum(shown.values()):
        shown[OTHER_REASONS] = shown.get(OTHER_REASONS, 0) + rest
    return shown


def _lag_notes(records: Records) -> Sequence[str]:
    lag = records.summary(operations.LAG).p99
    if math.isnan(lag) or lag <= MAX_LAG_MS:
        return ()
    note = (
        f"The load generator was late by {lag:.0f} ms (p99), so the latencies above show it rather than the server. "
        "Use more processes (--processes), fewer users, or another machine."
    )
    return (note,)


def _in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Align the columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def format_number(value: float) -> str:
    """Format a number with its significant digits."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "any"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def _objective(finding: Finding) -> Sequence[str]:
    limit = f"{'≥' if finding.is_lower_bound else '≤'} {format_number(finding.limit)} {finding.unit}"
    measured = f"{format_number(finding.measured)} {finding.unit}" if finding.is_known else "-"
    return finding.objective, limit.rstrip(), measured.rstrip(), finding.result
