"""A load test in files: for people (HTML with plots), for programs (JSON), for spreadsheets (CSV)."""

from load.report.writing import write_report

__all__ = ["write_report"]
