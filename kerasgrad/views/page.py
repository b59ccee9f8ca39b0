"""A run as one self-contained HTML page, the findings first; and as a table for notebooks."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasgrad.finding import Diagnosis, Finding
from kerasgrad.run import Run
from kerasgrad.views import charts, text, vendor
from kerasgrad.views.labels import labels
from kerasgrad.views.writing import harmless

_FILES = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; "
    "base-uri 'none'"
)
"""What a browser lets the page do: draw, and ask or tell nobody anything."""

MOST_LAYERS = 60
"""Rows of a notebook's table; of deeper models the first and the last half of these."""


def page(run: Run, diagnosis: Diagnosis | None = None) -> str:
    """The report: findings, then charts, then the table of layers. It asks no other host for anything.

    Args:
        run: any run.
        diagnosis: what the rules say of it; None leaves the findings out.

    Returns:
        A whole HTML page, about 1.6 MB, most of it plotly.js.
    """
    figures = charts.figures(run) if len(run) else {}
    sections = [
        f"<h1>{_escape(run.facts.get('model', 'model'))}</h1>",
        f"<p class=facts>{_escape(_facts(run))}</p>",
        _findings(diagnosis),
        "<p class=where>In the maps red is NaN or infinite, grey was not examined.</p>" if figures else "",
        *(f"<h2>{_escape(title)}</h2><div class=plot id=plot{i}></div>" for i, title in enumerate(figures)),
        f"<h2>Layers</h2><pre>{_escape(text.report(run, text.WIDTH))}</pre>",
    ]
    # In a script element only "</" and "<!--" mean anything; JSON may write any character as its number.
    data = json.dumps(list(figures.values()), allow_nan=False).replace("<", "\\u003c")
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{POLICY}">'
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{_escape(run.facts.get('model', 'model'))}: gradient flow</title>"
        f"<style>{(_FILES / 'page.css').read_text(encoding='utf-8')}</style></head>\n<body>"
        + "\n".join(sections)
        + f"\n<script id=data type='application/json'>{data}</script>"
        f"\n<script>{vendor.PLOTLY.read_text(encoding='utf-8')}</script>"
        f"\n<script>{(_FILES / 'page.js').read_text(encoding='utf-8')}</script></body></html>\n"
    )


def table(run: Run) -> str:
    """What each layer received, as an HTML table for notebooks.

    Args:
        run: any run.

    Returns:
        HTML without scripts.
    """
    heading = "<br>".join(map(_escape, text.report(run, text.WIDTH).split("\n\n")[0].splitlines()))
    if not len(run):
        return f"<p>{heading}</p>"
    newest = len(run) - 1
    signal = run.table("signal_rms", "layer")[newest]
    shown = [c for c in text.COLUMNS if not np.isnan(run.table(c[1], "layer")).all()]
    head = "".join(f"<th>{_escape(label)}</th>" for label, *_ in (("layer", ""), ("activation", ""), *shown))
    kept = _kept(len(run.layers))
    rows, names = [], labels(run.layers)
    for row in kept:
        values = [form(float(run.table(name, "layer")[newest, row])) for _, name, form, _ in shown]
        cells = "".join(f"<td style='text-align:right'>{_escape(value)}</td>" for value in values)
        width = 12 * len(text.bar(signal[row], signal))
        bar = f"<div style='background:#0072b2;height:10px;width:{width}px'></div>"
        name = f"<td style='text-align:left'>{_escape(names[row])}</td>"
        rows.append(f"<tr>{name}<td>{_escape(run.schema.activations[row])}</td>{cells}<td>{bar}</td></tr>")
    body = f"<thead><tr>{head}<th>signal</th></tr></thead><tbody>{''.join(rows)}</tbody>"
    missing = len(run.layers) - len(kept)
    left_out = f"<p>{missing} layers in the middle are left out.</p>" if missing else ""
    return f"<p>{heading}</p><table>{body}</table>{left_out}"


def _kept(count: int) -> list[int]:
    half = MOST_LAYERS // 2
    return list(range(count)) if count <= MOST_LAYERS else [*range(half), *range(count - half, count)]


def _facts(run: Run) -> str:
    wanted = ("kerasgrad", "keras", "tensorflow", "optimizer", "precision", "parameters", "directory")
    facts: Mapping[str, object] = run.facts
    return ", ".join(f"{name} {facts[name]}" for name in wanted if facts.get(name) is not None)


def _findings(diagnosis: Diagnosis | None) -> str:
    if diagnosis is None:
        return ""
    judged = f"{len(diagnosis.examined)} rules judged {diagnosis.samples} samples."
    items = (
        "".join(_finding(finding, diagnosis.consequences(finding)) for finding in diagnosis.roots) or "<p>Nothing found.</p>"
    )
    reasons = "".join(
        f"<li>{_escape(rule)} was not examined: {_escape(why)}</li>" for rule, why in diagnosis.not_examined.items()
    )
    return f"<h2>Findings</h2><p>{judged}</p>{items}<ul class=reasons>{reasons}</ul>"


def _finding(finding: Finding, consequences: Sequence[Finding] = ()) -> str:
    """A cause; what follows from it is folded below."""
    following = "".join(
        f"<li>{_escape(f.severity)} <b>{_escape(f.title)}</b>: {_escape(f.summary)} "
        f"<span class=where>{_escape(f.evidence)}</span></li>"
        for f in consequences
    )
    folded = f"<details><summary>follows from it: {len(consequences)}</summary><ul>{following}</ul></details>"
    causes = "".join(f"<li>{_escape(cause)}</li>" for cause in finding.causes)
    remedies = f"<p>Try: {_escape(', '.join(finding.remedies))}</p>" if finding.remedies else ""
    return (
        f"<section class='finding {finding.severity}'><h3>{_escape(finding.severity)}: {_escape(finding.title)}</h3>"
        f"<p class=where>{_escape(finding.beginning)}</p><p>{_escape(finding.summary)}</p>"
        f"<p class=where>{_escape(finding.evidence)}</p><ol>{causes}</ol>{remedies}"
        f"{folded if consequences else ''}</section>"
    )


def _escape(value: Any) -> str:
    return html.escape(harmless(str(value)))
