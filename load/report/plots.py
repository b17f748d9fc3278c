"""The plots of a report, as SVG: they need nothing but the page that they stand in."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from load import exchanges
from load.run import LoadRun

PLOTTED = (exchanges.ECHO, exchanges.DELIVERY, exchanges.AUTHENTICATE, exchanges.RECOVER)
"""Exchanges with a plot of their own, if there were any."""

_PERCENTS = ((50.0, "#2e7d32"), (95.0, "#ef6c00"), (99.0, "#c62828"))


def draw(run: LoadRun) -> Sequence[tuple[str, str]]:
    """Each plot's title, and the plot."""
    plots = [
        (f"{name}: percentiles over time", _svg(partial(_latencies, run, name)))
        for name in PLOTTED
        if run.records.count(name)
    ]
    plots.append(("Throughput", _svg(partial(_throughput, run))))
    plots.append(("Users", _svg(partial(_users, run))))
    if any(not math.isnan(sample.memory_bytes) for sample in run.samples):
        plots.append(("The server's processor", _svg(partial(_cpu, run))))
        plots.append(("The server's memory", _svg(partial(_memory, run))))
    return plots


def _latencies(run: LoadRun, name: str, ax: Axes) -> None:
    for percent, colour in _PERCENTS:
        times, values = run.records.series(name, percent)
        ax.plot(_since(run, times), values, color=colour, label=f"p{percent:g}", linewidth=1.2)
    ax.set_yscale("log")
    ax.set_ylabel("ms")
    ax.legend(fontsize=8, frameon=False)


def _throughput(run: LoadRun, ax: Axes) -> None:
    for name in run.records.names:
        if name != exchanges.LAG and run.records.count(name):
            times, values = run.records.rates(name)
            ax.plot(_since(run, times), values, label=name, linewidth=1.2)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylabel("a second")
    ax.legend(fontsize=8, frameon=False, ncols=3)


def _users(run: LoadRun, ax: Axes) -> None:
    ax.step([s.at - run.began for s in run.samples], [s.users for s in run.samples], where="post", color="#1565c0")
    ax.set_ylim(bottom=0)


def _cpu(run: LoadRun, ax: Axes) -> None:
    ax.plot([s.at - run.began for s in run.samples], [s.cpu_percent for s in run.samples], color="#6a1b9a")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("% of one core")


def _memory(run: LoadRun, ax: Axes) -> None:
    ax.plot([s.at - run.began for s in run.samples], [s.memory_bytes / 2**20 for s in run.samples], color="#00695c")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("MiB")


def _since(run: LoadRun, times: Sequence[float]) -> Sequence[float]:
    return [at - run.began for at in times]


def _svg(fill: Callable[[Axes], None]) -> str:
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(7.5, 2.6), layout="constrained")
        ax = figure.subplots()
        fill(ax)
        ax.set_xlabel("seconds")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]
