"""All files of one report, into a folder of its own."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import msgspec

from load.measured import Measured
from load.records import Summary
from load.report.page import page
from load.report.plots import draw
from load.verdict import Verdict


def write_report(measured: Measured, verdict: Verdict, folder: Path) -> Path:
    """Write it below `folder`, and say where its page is."""
    into = folder / f"{measured.scenario}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(measured.began))}"
    into.mkdir(parents=True, exist_ok=True)
    (into / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    _write_exchanges(verdict, into / "exchanges.csv")
    _write_server(measured, into / "server.csv")
    path = into / "report.html"
    path.write_text(page(verdict, draw(measured)), encoding="utf-8")
    return path


def _write_exchanges(verdict: Verdict, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("exchange", *Summary.__struct_fields__))
        for name, summary in verdict.summaries.items():
            writer.writerow((name, *msgspec.structs.astuple(summary)))


def _write_server(measured: Measured, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("seconds", "users", "connects", "cpu_percent", "memory_bytes"))
        for sample in measured.samples:
            _, *rest = msgspec.structs.astuple(sample)
            writer.writerow((round(sample.at - measured.began, 3), *rest))
