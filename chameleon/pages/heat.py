"""Tables of coloured numbers, as HTML: to be read without a script, by a screen reader and in print."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.pages.document import escape
from chameleon.reporting.figures.style import rounded

#: Ends of the colours (blue: better, red: worse, as in the figures), and of weights (from white to blue).
BETTER, WORSE, MORE = (33, 102, 172), (178, 24, 43), (0, 92, 150)


def difference_table(
    columns: Sequence[str], rows: Mapping[str, Sequence[Any]], price: Mapping[str, float | None], free: float
) -> str:
    """Return methods x (cost, means, domains): bold on colour where an interval excludes zero.

    Colour saturates at the 90th percentile of the sizes, as in the figures, so that one extreme cell does not
    pale the others.

    Args:
        columns: headings.
        rows: {method: an estimate as `scenario_data` gives it, or None, per column}, percent.
        price: {method: percent of a base run's FLOPs}.
        free: prices below are said to be none.
    """
    sizes = [abs(cell["mean"]) for cells in rows.values() for cell in cells if cell is not None]
    top = max(float(np.quantile(sizes, 0.9)) if sizes else 0.0, 1e-9)
    body = []
    for method, cells in rows.items():
        shown = [_cost(price.get(method), free), *(_difference(cell, top) for cell in cells)]
        body.append(_row(method, shown))
    return _table(["Method", "Cost of the weights", *columns], body)


def weight_table(domains: Sequence[str], rows: Mapping[str, Sequence[float | None]]) -> str:
    """Return methods x domains: mean weights in percent, the darker the more."""
    known = [w for weights in rows.values() for w in weights if w is not None]
    top = max(float(np.quantile(known, 0.98)) if known else 0.0, 1e-9)
    body = [_row(method, [_weight(w, top) for w in weights]) for method, weights in rows.items()]
    return _table(["Method", *domains], body)


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of sentences; cells are HTML already."""
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = ["<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in row) + "</tr>" for row in rows]
    return f'<table class="told"><thead><tr>{top}</tr></thead>\n<tbody>{chr(10).join(body)}</tbody></table>'


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    top = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in head)
    return f'<table class="heat"><thead><tr>{top}</tr></thead>\n<tbody>{chr(10).join(rows)}</tbody></table>'


def _row(method: str, cells: Sequence[str]) -> str:
    name = escape(method)
    return f'<tr data-method="{name}"><th scope="row">{name}</th>{"".join(cells)}</tr>'


def _cost(price: float | None, free: float) -> str:
    if price is None:
        return "<td>–</td>"
    text = "free" if price < free else f"{price:.2g} %" if price < 10 else f"{price:.0f} %"
    return f'<td data-value="{price!r}">{text}</td>'


def _difference(cell: Mapping[str, Any] | None, top: float) -> str:
    if cell is None:
        return "<td>–</td>"
    value, text = cell["mean"], rounded(cell["mean"], 1, sign=True)
    ends = "" if cell["low"] is None else f"{rounded(cell['low'], 2)} to {rounded(cell['high'], 2)}"
    title = f' title="{ends}, {cell["n"]} seeds"' if ends else ""
    if not cell["decided"]:
        return f'<td class="open" data-value="{value!r}"{title}>{text}</td>'
    shade = _shade(BETTER if value < 0 else WORSE, min(abs(value) / (1.3 * top), 1.0))
    return f'<td data-value="{value!r}"{title} style="{shade}"><b>{text}</b></td>'


def _weight(weight: float | None, top: float) -> str:
    if weight is None:
        return "<td>–</td>"
    return (
        f'<td data-value="{weight!r}" style="{_shade(MORE, min(weight / top, 1.0))}">{100 * weight:.1f}</td>'
    )


def _shade(end: tuple[int, int, int], share: float) -> str:
    """Return a colour between white and `end`, with text that can be read on it."""
    red, green, blue = (round(255 + share * (part - 255)) for part in end)
    ink = "#fff" if share > 0.6 else "#1d2430"
    return f"background:rgb({red},{green},{blue});color:{ink}"
