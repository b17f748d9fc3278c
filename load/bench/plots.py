"""The plots of the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from load.bench.results import Results, Spread
from load.bench.scenarios import Metric, Scenario
from load.bench.scenarios.room_size import SIZES
from load.bench.servers import OURS

_OURS_COLOUR, _THEIRS_COLOUR = "#c0392b", "#7f8c8d"
_ROOM_SIZE = "room_size"
_COLUMNS = 3


def draw(results: Results, scenarios: Sequence[Scenario], folder: Path) -> list[Path]:
    """Write a PNG into the folder for each scenario that has results. Returns their paths."""
    mpl.use("Agg")
    paths = []
    for scenario in scenarios:
        servers = results.servers_of(scenario)
        if not any(results.spread(scenario, server, m.key) for server in servers for m in scenario.metrics):
            continue
        figure = _by_size(results, scenario) if scenario.name == _ROOM_SIZE else _bars(results, scenario, servers)
        figure.suptitle(scenario.title, fontsize=11)
        path = folder / f"{scenario.name}.png"
        figure.savefig(path, dpi=120, bbox_inches="tight")
        paths.append(path)
    return paths


def _bars(results: Results, scenario: Scenario, servers: Sequence[str]) -> Figure:
    columns = min(_COLUMNS, len(scenario.metrics))
    rows = -(-len(scenario.metrics) // columns)
    figure = Figure(figsize=(5 * columns, 0.5 + rows * (0.8 + 0.4 * len(servers))), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for metric, ax in zip(scenario.metrics, axes, strict=False):
        _bars_of_one(results, scenario, servers, metric, ax)
    for ax in axes[len(scenario.metrics) :]:
        ax.set_visible(False)
    return figure


def _bars_of_one(results: Results, scenario: Scenario, servers: Sequence[str], metric: Metric, ax: Axes) -> None:
    spreads = [results.spread(scenario, server, metric.key) or Spread(0.0, 0.0, 0.0) for server in servers]
    ax.barh(
        servers,
        [spread.median for spread in spreads],
        xerr=(
            [spread.median - spread.low for spread in spreads],
            [spread.high - spread.median for spread in spreads],
        ),
        color=[_OURS_COLOUR if server.startswith(OURS) else _THEIRS_COLOUR for server in servers],
        capsize=3,
    )
    ax.invert_yaxis()
    ax.set_xlabel(f"{metric.title} ({metric.better} is better)")
    ax.ticklabel_format(axis="x", style="plain")


def _by_size(results: Results, scenario: Scenario) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for server in results.servers_of(scenario):
        points = [(size, results.spread(scenario, server, f"of{size}")) for size in SIZES]
        known = [(size, spread) for size, spread in points if spread is not None]
        ax.errorbar(
            [size for size, _ in known],
            [spread.median for _, spread in known],
            yerr=(
                [spread.median - spread.low for _, spread in known],
                [spread.high - spread.median for _, spread in known],
            ),
            marker="o",
            capsize=3,
            label=server,
        )
    ax.set_xscale("log")
    ax.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("members in the room")
    ax.set_ylabel("server CPU, µs per delivery")
    ax.legend()
    return figure
