"""The report of a load test: an HTML page with plots, JSON, and CSV."""

from load.report.writing import write_report

__all__ = ["write_report"]
