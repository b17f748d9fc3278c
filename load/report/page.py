"""The HTML page of a report: one self-contained file without scripts."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import zip_longest

from load.verdict import Verdict

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { padding: .6rem 1rem; border-radius: .4rem; font-weight: 600; color: #fff; background: #2e7d32; }
.verdict.failed { background: #c62828; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
tr.breached td { background: #fdecea; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure svg { width: 100%; height: auto; } figcaption { font-weight: 600; }
"""


def page(verdict: Verdict, plots: Sequence[tuple[str, str]]) -> str:
    """Render the page. `plots`: title and SVG of each."""
    title = f"Load test: {verdict.scenario}"
    facts = f"{verdict.began}, {verdict.seconds:.0f} s, {verdict.users} users at peak, server {verdict.server}"
    marks = ["" if finding.is_met else "breached" for finding in verdict.findings]
    parts = [
        f"<h1>{_text(title)}</h1><p>{_text(facts)}</p>",
        f'<p class="verdict{"" if verdict.is_met else " failed"}">{_text(verdict.outcome)}</p>',
        *(f"<p>{_text(note)}</p>" for note in verdict.notes),
        f"<h2>Objectives</h2>{_table(verdict.objectives, marks)}",
        f"<h2>Operations</h2>{_table(verdict.operations)}",
    ]
    if verdict.reasons:
        parts.append(f"<h2>Failures</h2>{_table(verdict.failures)}")
    figures = "".join(f"<figure><figcaption>{_text(name)}</figcaption>{svg}</figure>" for name, svg in plots)
    parts.append(f'<h2>Over time</h2><div class="plots">{figures}</div>')
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _table(rows: Sequence[Sequence[str]], marks: Sequence[str] = ()) -> str:
    def row(cells: Sequence[str], tag: str, mark: str = "") -> str:
        attribute = f' class="{mark}"' if mark else ""
        return f"<tr{attribute}>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"

    head, *body = rows
    marked = zip_longest(body, marks, fillvalue="")
    return f"<table>{row(head, 'th')}{''.join(row(cells, 'td', str(mark)) for cells, mark in marked)}</table>"


def _text(text: str) -> str:
    return html.escape(text)
