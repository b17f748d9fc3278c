"""The plots of a report, as inline SVG."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from load import operations
from load.measurements import Measurements

PLOTTED = (operations.ECHO, operations.DELIVERY, operations.AUTHENTICATE, operations.RECOVER)
"""Operations whose latencies are plotted, if there were any."""

_PLAIN = StrMethodFormatter("{x:g}")
_PERCENTS = ((50.0, "#2e7d32"), (95.0, "#ef6c00"), (99.0, "#c62828"))


def draw(measurements: Measurements) -> Sequence[tuple[str, str]]:
    """The title and the SVG of each plot."""
    plots = [
        (f"{name}: percentiles over time", _svg(partial(_latencies, measurements, name)))
        for name in PLOTTED
        if measurements.records.count(name)
    ]
    plots.append(("Throughput", _svg(partial(_throughput, measurements))))
    plots.append(("Users", _svg(partial(_users, measurements))))
    if any(not math.isnan(sample.memory_bytes) for sample in measurements.samples):
        plots.append(("Server CPU", _svg(partial(_cpu, measurements))))
        plots.append(("Server memory", _svg(partial(_memory, measurements))))
    return plots


def _latencies(measurements: Measurements, name: str, ax: Axes) -> None:
    for percent, color in _PERCENTS:
        times, values = measurements.records.series(name, percent)
        ax.plot(_since(measurements, times), values, color=color, label=f"p{percent:g}", linewidth=1.2)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(_PLAIN)
    ax.yaxis.set_minor_formatter(_PLAIN)
    ax.set_ylabel("ms")
    _add_legend(ax)


def _throughput(measurements: Measurements, ax: Axes) -> None:
    for name in measurements.records.names:
        if name != operations.LAG and measurements.records.count(name):
            times, values = measurements.records.rates(name)
            ax.plot(_since(measurements, times), values, label=name, linewidth=1.2)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylabel("per second")
    _add_legend(ax)


def _add_legend(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(
            fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )  # outside the axes, so that it hides no line


def _users(measurements: Measurements, ax: Axes) -> None:
    ax.step(_moments(measurements), [s.users for s in measurements.samples], where="post", color="#1565c0")
    ax.set_ylim(bottom=0)


def _cpu(measurements: Measurements, ax: Axes) -> None:
    ax.plot(_moments(measurements), [s.cpu_percent for s in measurements.samples], color="#6a1b9a")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("% of one core")


def _memory(measurements: Measurements, ax: Axes) -> None:
    ax.plot(_moments(measurements), [s.memory_bytes / 2**20 for s in measurements.samples], color="#00695c")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("MiB")


def _moments(measurements: Measurements) -> Sequence[float]:
    return _since(measurements, [sample.at for sample in measurements.samples])


def _since(measurements: Measurements, times: Sequence[float]) -> Sequence[float]:
    return [at - measurements.began for at in times]


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
