"""Writes the files of a report into a new folder."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import msgspec

from load.measurements import Measurements
from load.records import Summary
from load.report.page import page
from load.report.plots import draw
from load.verdict import Verdict


def write_report(measurements: Measurements, verdict: Verdict, folder: Path) -> Path:
    """Write a report into a subfolder of `folder`. Returns the path of its HTML page."""
    target = folder / f"{measurements.scenario}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(measurements.began))}"
    target.mkdir(parents=True, exist_ok=True)
    (target / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    _write_operations(verdict, target / "operations.csv")
    _write_server(measurements, target / "server.csv")
    path = target / "report.html"
    path.write_text(page(verdict, draw(measurements)), encoding="utf-8")
    return path


def _write_operations(verdict: Verdict, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("operation", *Summary.__struct_fields__))
        for name, summary in verdict.summaries.items():
            writer.writerow((name, *msgspec.structs.astuple(summary)))


def _write_server(measurements: Measurements, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("seconds", "users", "connects", "cpu_percent", "memory_bytes"))
        for sample in measurements.samples:
            _, *rest = msgspec.structs.astuple(sample)
            writer.writerow((round(sample.at - measurements.began, 3), *rest))
