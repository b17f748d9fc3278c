import math

import msgspec
import pytest

from load.records import MAX_REASONS, OTHER_REASONS, Records, RecordsDelta


def filled(interval=1.0):
    records = Records(interval)
    for n in range(100):
        records.record_success("echo", n + 1, at=1000 + n / 10)
    records.record_failure("echo", "no answer", at=1001)
    return records


def test_summary_has_counts_and_percentiles():
    summary = filled().summary("echo")
    assert (summary.count, summary.failures, summary.longest) == (100, 1, 100)
    assert summary.per_second == 10
    assert summary.p50 == pytest.approx(50, rel=0.021)
    assert summary.p99 == pytest.approx(99, rel=0.021)


def test_summary_of_window_uses_whole_intervals():
    summary = filled().summary("echo", 1002, 1004)
    assert (summary.count, summary.failures, summary.longest) == (20, 0, 40)
    assert summary.p50 == pytest.approx(30, rel=0.021)


def test_summary_of_unknown_operation_is_empty():
    summary = filled().summary("history")
    assert summary.count == 0
    assert math.isnan(summary.p50)
    assert math.isnan(summary.longest)


def test_deltas_of_processes_add_up():
    whole, total = filled(), Records()
    for _ in range(2):
        part = filled()
        sent = msgspec.msgpack.encode(part.take_delta())
        assert part.operations == 0
        total.merge(msgspec.msgpack.decode(sent, type=RecordsDelta))
    assert total.count("echo") == 2 * whole.count("echo")
    assert total.summary("echo").p95 == whole.summary("echo").p95
    assert total.reasons == {"echo: no answer": 2}


def test_merge_accepts_shorter_intervals():
    total = Records(5)
    total.merge(filled(1).take_delta())
    times, rates = total.rates("echo")
    assert times == [1002.5, 1007.5]
    assert rates == [10, 10]


def test_failure_reasons_are_bounded():
    records = Records()
    for n in range(MAX_REASONS + 50):
        records.record_failure("echo", str(n), at=0)
    assert len(records.reasons) == MAX_REASONS + 1
    assert records.reasons[OTHER_REASONS] == 50
    assert records.failures() == MAX_REASONS + 50
