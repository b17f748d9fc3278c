import math

import pytest

from load import operations
from load.command_line import FOLDER, scenarios
from load.objectives import BadObjectives, Objectives, OperationLimits, breaches_between, judge, load_objectives
from load.records import Records
from load.server_monitor import Sample, kib_kept_per_connection, kib_per_connection, mib_per_hour

KIB = 1024


def records_of(ms, failed=0):
    records = Records()
    for n in range(100):
        records.record_success("echo", ms, at=n)
    for n in range(failed):
        records.record_failure("echo", "no answer", at=n)
    return records


def outcomes(objectives, records=None, samples=()):
    findings = judge(objectives, records_of(10) if records is None else records, samples)
    return {finding.objective: finding.result for finding in findings}


def samples_of(*memory, users=10, connects=1000, seconds=100.0):
    """Samples of a server's memory in KiB; the first sample is without users."""
    empty = Sample(0.0, 0, 0, math.nan, memory[0] * KIB)
    return [
        empty,
        *(Sample((n + 1) * seconds, users, (n + 1) * connects, 5.0, m * KIB) for n, m in enumerate(memory[1:])),
    ]


@pytest.mark.parametrize("scenario", scenarios())
def test_each_scenario_has_objectives(scenario):
    objectives = load_objectives(FOLDER / "scenarios" / f"{scenario}.toml")
    assert objectives.operations
    assert all(times.at_least for times in objectives.operations.values())


def test_limits_are_met_or_breached():
    limits = Objectives(operations={"echo": OperationLimits(p50=20, p95=5)})
    assert outcomes(limits)["echo, p50"] == "met"
    assert outcomes(limits)["echo, p95"] == "BREACHED"


def test_breached_findings_come_first():
    findings = judge(Objectives(operations={"echo": OperationLimits(p50=20, p95=5)}), records_of(10), ())
    assert [finding.is_met for finding in findings] == sorted(finding.is_met for finding in findings)


def test_missing_operation_is_breached():
    assert outcomes(Objectives(operations={"recover": OperationLimits(p95=5)}))["recover, count"] == "BREACHED"


def test_failures_and_evictions_are_judged():
    records = records_of(10, failed=2)
    assert outcomes(Objectives(), records)["failed operations"] == "BREACHED"
    assert outcomes(Objectives(failure_ratio=0.05), records)["failed operations"] == "met"
    records.record_failure(operations.closed(4008), "too slow", at=1)
    assert outcomes(Objectives(failure_ratio=1), records)["evictions of clients that read"] == "BREACHED"


def test_generator_lag_is_not_an_operation():
    records = Records()
    for n in range(100):
        records.record_success(operations.LAG, 1, at=n)
    records.record_failure("echo", "no answer", at=0)
    finding = next(f for f in judge(Objectives(), records, ()) if f.objective == "failed operations")
    assert finding.measured == 100


def test_unknown_memory_is_not_judged():
    assert outcomes(Objectives(kib_per_connection=1))["memory per open connection"] == "not measured"


def test_memory_per_open_connection_is_judged():
    assert kib_per_connection(samples_of(1000, 1200, 1500)) == pytest.approx(50)
    assert outcomes(Objectives(kib_per_connection=49), None, samples_of(1000, 1500))["memory per open connection"] == (
        "BREACHED"
    )


def test_memory_kept_per_connection_is_measured():
    growing = samples_of(1000, *(2000 + 3000 * n for n in range(12)))
    assert kib_kept_per_connection(growing) == pytest.approx(3)
    level = samples_of(1000, *(2000 + n % 2 for n in range(12)))
    assert abs(kib_kept_per_connection(level)) < 0.01


def test_memory_growth_per_hour_is_measured():
    assert mib_per_hour(samples_of(1000, *(2000 + 2 * n for n in range(12)))) == pytest.approx(2 * 36 / 1024)


def test_short_tests_have_no_memory_growth():
    growing = [2000 + 3000 * n for n in range(12)]
    assert math.isnan(kib_kept_per_connection(samples_of(1000, *growing, connects=100)))
    assert math.isnan(mib_per_hour(samples_of(1000, *growing, seconds=10)))


def test_memory_without_samples_is_unknown():
    for measure in (kib_per_connection, kib_kept_per_connection, mib_per_hour):
        assert math.isnan(measure([]))
        assert math.isnan(measure([Sample(0, 5, 5, math.nan, math.nan)] * 9))


def test_window_is_judged_by_its_operations():
    records = records_of(10)
    for n in range(50, 60):
        for _ in range(100):
            records.record_success("echo", 500, at=n)
    for _ in range(3):
        records.record_success(operations.AUTHENTICATE, 5, at=1)
    limits = Objectives(operations={"echo": OperationLimits(p95=100), "recover": OperationLimits(p95=1)})
    assert breaches_between(limits, records, 3, 10, 40) == []
    assert breaches_between(limits, records, 3, 50, 60) == ["echo, p95 506 ms"]
    records.record_failure("join", "no answer", at=20)
    records.record_success(operations.LAG, 80, at=20)
    assert breaches_between(limits, records, 3, 10, 40) == [
        "1 operations failed",
        "the load generator was late by 80 ms",
    ]


def test_idle_or_incomplete_window_is_breached():
    records = records_of(10)
    for _ in range(3):
        records.record_success(operations.AUTHENTICATE, 5, at=1)
    records.record_success(operations.LAG, 1, at=150)
    assert breaches_between(Objectives(), records, 4, 10, 40) == ["only 3 of 4 users logged in"]
    assert breaches_between(Objectives(), records, 3, 140, 160) == ["no operation finished"]


@pytest.mark.parametrize("text", ["p50 = 1", "[operations.echo]\np42 = 1", "failure_ratio = 'none'", "="])
def test_invalid_file_is_reported_with_path(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadObjectives, match=r"mine\.toml: "):
        load_objectives(path)


def test_file_not_in_utf_8_is_reported(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe4")
    with pytest.raises(BadObjectives, match=r"latin\.toml: "):
        load_objectives(path)


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(BadObjectives, match="No such file"):
        load_objectives(tmp_path / "none.toml")
