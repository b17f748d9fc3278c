"""The text and the page of a verdict."""

import math
import xml.etree.ElementTree as ET

from load.measurements import Measurements
from load.objectives import Finding, Objectives
from load.records import Records, Summary
from load.report.page import page
from load.verdict import Verdict, format_number

SUMMARY = Summary(1200, 3, 40.0, 1.2345, 10.0, 99.96, 250.5, 12345.6)
MET = Finding("echo, p50", 25, 1.2345, "ms")
BREACHED = Finding("echo, p95", 5, 10, "ms")
UNKNOWN = Finding("memory growth", 20, math.nan, "MiB/h")
TOO_FEW = Finding("recover, count", 1, 0, "", is_lower_bound=True)


def verdict(*findings, reasons=(), notes=(), problems=()):
    return Verdict("steady", "host:1", "now", 60.0, 50, findings, {"echo": SUMMARY}, dict(reasons), notes, problems)


def test_numbers_have_significant_digits():
    assert [format_number(x) for x in (0, 1.2345, 12.345, 250.5, 12345.6, math.nan, math.inf)] == [
        "0",
        "1.23",
        "12.3",
        "250.5",
        "12,346",
        "-",
        "any",
    ]


def test_verdict_passes_and_counts_unmeasured():
    outcome = verdict(MET, UNKNOWN)
    assert outcome.is_met
    assert outcome.outcome == "PASSED: no objective was breached; 1 not measured"


def test_verdict_fails_on_a_breach():
    outcome = verdict(MET, BREACHED, TOO_FEW)
    assert not outcome.is_met
    assert outcome.outcome == "FAILED: 2 objectives breached"


def test_verdict_fails_on_a_problem():
    outcome = verdict(MET, problems=["stopped after 11 of 60 s"])
    assert not outcome.is_met
    assert outcome.outcome == "FAILED: stopped after 11 of 60 s"
    assert verdict(BREACHED, problems=["x"]).outcome == "FAILED: 1 objective breached; x"


def test_rare_failures_are_counted_together():
    records = Records()
    for n in range(25):
        for _ in range(n + 1):
            records.record_failure("echo", str(n), at=0)
    shown = Verdict.of(Measurements("steady", "host", records, began=0.0, ended=1.0), Objectives()).reasons
    assert len(shown) == 21
    assert shown["others"] == 1 + 2 + 3 + 4 + 5
    assert sum(shown.values()) == records.failures()


def test_text_is_aligned_in_columns():
    lines = verdict(BREACHED, TOO_FEW, reasons={"echo: no answer": 3}, notes=["A note."]).as_text().splitlines()
    assert "steady on host:1: 50 users, 60 s" in lines
    assert "echo       1,200       3          40    1.23   10  100  250.5   12,346" in lines
    assert "echo, p95       ≤ 5 ms     10 ms  BREACHED" in lines
    assert "recover, count     ≥ 1         0  BREACHED" in lines
    assert "echo: no answer      3" in lines
    assert lines[-1] == "FAILED: 2 objectives breached"
    assert "A note." in lines


def test_page_escapes_text():
    hostile = "<script>alert(1)</script> & 'more'"
    text = page(verdict(BREACHED, reasons={hostile: 1}, notes=[hostile]), [("Users", "<svg></svg>")])
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") == 2
    assert '<tr class="breached">' in text
    ET.fromstring(text[text.index("<body>") : text.index("</html>")])  # every element is closed
