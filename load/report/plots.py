"""The plots of a report, as SVG: they need nothing but the page that they stand in."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from load import exchanges
from load.measured import Measured

PLOTTED = (exchanges.ECHO, exchanges.DELIVERY, exchanges.AUTHENTICATE, exchanges.RECOVER)
"""Exchanges with a plot of their own, if there were any."""

_PLAIN = StrMethodFormatter("{x:g}")
_PERCENTS = ((50.0, "#2e7d32"), (95.0, "#ef6c00"), (99.0, "#c62828"))


def draw(measured: Measured) -> Sequence[tuple[str, str]]:
    """Each plot's title, and the plot."""
    plots = [
        (f"{name}: percentiles over time", _svg(partial(_latencies, measured, name)))
        for name in PLOTTED
        if measured.records.count(name)
    ]
    plots.append(("Throughput", _svg(partial(_throughput, measured))))
    plots.append(("Users", _svg(partial(_users, measured))))
    if any(not math.isnan(sample.memory_bytes) for sample in measured.samples):
        plots.append(("The server's processor", _svg(partial(_cpu, measured))))
        plots.append(("The server's memory", _svg(partial(_memory, measured))))
    return plots


def _latencies(measured: Measured, name: str, ax: Axes) -> None:
    for percent, colour in _PERCENTS:
        times, values = measured.records.series(name, percent)
        ax.plot(_since(measured, times), values, color=colour, label=f"p{percent:g}", linewidth=1.2)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(_PLAIN)
    ax.yaxis.set_minor_formatter(_PLAIN)
    ax.set_ylabel("ms")
    _add_legend(ax)


def _throughput(measured: Measured, ax: Axes) -> None:
    for name in measured.records.names:
        if name != exchanges.LAG and measured.records.count(name):
            times, values = measured.records.rates(name)
            ax.plot(_since(measured, times), values, label=name, linewidth=1.2)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylabel("a second")
    _add_legend(ax)


def _add_legend(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))  # beside: it hides no line


def _users(measured: Measured, ax: Axes) -> None:
    ax.step(_moments(measured), [s.users for s in measured.samples], where="post", color="#1565c0")
    ax.set_ylim(bottom=0)


def _cpu(measured: Measured, ax: Axes) -> None:
    ax.plot(_moments(measured), [s.cpu_percent for s in measured.samples], color="#6a1b9a")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("% of one core")


def _memory(measured: Measured, ax: Axes) -> None:
    ax.plot(_moments(measured), [s.memory_bytes / 2**20 for s in measured.samples], color="#00695c")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("MiB")


def _moments(measured: Measured) -> Sequence[float]:
    return _since(measured, [sample.at for sample in measured.samples])


def _since(measured: Measured, times: Sequence[float]) -> Sequence[float]:
    return [at - measured.began for at in times]


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
