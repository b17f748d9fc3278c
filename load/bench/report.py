"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from load.bench.measurement import GENERATOR, SERVER
from load.bench.results import Results
from load.bench.scenarios import Scenario
from load.bench.servers import OURS

_NONE = "–"


def markdown(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Render the report. Scenarios without results are omitted."""
    parts = ["# Benchmark", _about(results)]
    parts += [_section(results, scenario) for scenario in scenarios if results.servers_of(scenario)]
    return "\n\n".join(parts) + "\n"


def _about(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    lines += [f"- {server}: {_versions(versions)}" for server, versions in results.versions.items()]
    lines += [f"- {line}" for line in results.skipped]
    lines.append(
        "- Each number is the median of the rounds, with the minimum and maximum in brackets. "
        f"A ratio is {OURS} divided by that server, computed for each round."
    )
    if results.is_quick:
        lines.append(
            "- **Quick run with few members and short measurements: a functional check, not a performance result.**"
        )
    return "\n".join(lines)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _section(results: Results, scenario: Scenario) -> str:
    servers = results.servers_of(scenario)
    compares = any(server != OURS for server in servers)
    head = ["server"]
    for metric in scenario.metrics:
        head.append(f"{metric.title} ({metric.better} is better)")
        if compares:
            head.append(f"{OURS} ÷ this server")
    head += ["server core used", "generator core used"]
    rows = [_row(results, scenario, server, compares=compares) for server in servers]
    warnings = [f"- {server}: {line}" for server in servers for line in results.warnings(scenario, server)]
    parts = [f"## {scenario.title}", scenario.question, _table(head, rows)]
    if warnings:
        parts.append("\n".join(warnings))
    return "\n\n".join(parts)


def _row(results: Results, scenario: Scenario, server: str, *, compares: bool) -> list[str]:
    row = [server]
    for metric in scenario.metrics:
        spread = results.spread(scenario, server, metric.key)
        row.append(spread.formatted(metric.digits) if spread else _NONE)
        if compares:
            ratio = results.ratio(scenario, server, metric.key) if server != OURS else None
            row.append(ratio.formatted(2) if ratio else _NONE)
    for key in (SERVER, GENERATOR):
        share = results.spread(scenario, server, key)
        row.append(f"{share.high:.0%}" if share else _NONE)
    if results.warnings(scenario, server):
        row[-1] += " ⚠"
    return row


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    aligned = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, aligned, *rows))
