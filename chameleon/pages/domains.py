"""The table of a mixture's domains, as HTML that is readable before any script runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chameleon.mixture import Domain
from chameleon.pages import words
from chameleon.pages.document import escape


class Column(NamedTuple):
    """A heading, a word on it for the note above, and each domain's (value to sort by, text)."""

    key: str
    heading: str
    note: str
    cells: list[tuple[float | None, str]]


def budget_field(tokens: Sequence[float | None]) -> str:
    """Return the field for a training budget, as HTML; a note where tokens are not known."""
    if not words.known(tokens):
        return '<p class="soft">The domains\' tokens are not known, so epochs cannot be given.</p>'
    return (
        '<div class="field controls"><label for="budget">Tokens to train on</label>'
        '<input id="budget" type="text" inputmode="text" autocomplete="off" aria-describedby="budget-said">'
        '<span id="budget-said" class="soft">such as 300M or 2.5B</span></div>'
    )


def domain_table(
    names: Sequence[str], data: Mapping[str, Any], about: Sequence[Domain], weights: Mapping[str, float]
) -> tuple[str, str]:
    """Return the table, and a note on its columns, both as HTML.

    A row carries its domain's place in the mixture (`data-domain`) and its weight with all digits
    (`data-weight`, which the page's script moves with the sliders). A column of which nothing is known is
    left out.

    Args:
        names: k domains.
        data: of the page: intervals, natural shares, affinity.
        about: what is known of each domain.
        weights: by domain.
    """
    columns = _columns(list(weights.values()), data, about)
    head = "".join(
        f'<th scope="col" data-key="{column.key}"><button type="button">{column.heading}</button></th>'
        for column in (Column("domain", "Domain", "", []), *columns)
    )
    rows = []
    for i, (name, weight) in enumerate(weights.items()):
        cells = "".join(_cell(column.key, *column.cells[i]) for column in columns)
        rows.append(
            f'<tr data-domain="{i}" data-weight="{weight!r}"><th scope="row">{escape(name)}</th>{cells}</tr>'
        )
    notes = " ".join(column.note for column in columns if column.note)
    body = "\n".join(rows)
    table = f'<table id="table">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    return table, notes


def _cell(key: str, value: float | None, text: str) -> str:
    sort = "" if value is None else f' data-value="{value!r}"'
    return f'<td data-key="{key}"{sort}>{text}</td>'


def _columns(weights: list[float], data: Mapping[str, Any], about: Sequence[Domain]) -> list[Column]:
    blank: list[tuple[float | None, str]] = [(None, "–")] * len(weights)
    found = [Column("weight", "Weight", "", [(w, words.percent(w)) for w in weights])]
    for over in ("windows", "documents"):
        if ends := data[over]:
            cells = [(high - low, f"{words.percent(low)} – {words.percent(high)}")
                     for low, high in zip(ends["low"], ends["high"], strict=True)]  # fmt: skip
            found.append(Column(over, f"Interval over {over}", "", list(cells)))
    if data["affinity"] is not None:
        found.append(Column("chosen", "At the setting above", "", blank))
    if data["natural"]:
        shares = [(share, words.percent(share)) for share in data["natural"]]
        found.append(Column("natural", "Share of tokens", "", list(shares)))
    known = [
        Column("score", "Score", "Score: leverage score; high: no other domain explains this one.",
               [(d.score, _shown(d.score, "{:.4g}")) for d in about]),
        Column("influence", "Influence",
               "Influence: how far the others' shares among themselves move without this domain.",
               [(d.influence, "–" if d.influence is None else words.percent(d.influence)) for d in about]),
        Column("tokens", "Tokens", "", [(d.tokens, "–" if d.tokens is None else words.count(d.tokens))
                                        for d in about]),
        Column("seen", "Documents", "", [(d.documents, _shown(d.documents, "{:,}")) for d in about]),
    ]  # fmt: skip
    found += [column for column in known if words.known([value for value, _ in column.cells])]
    if words.known([d.tokens for d in about]):
        found.append(Column("epochs", "Epochs", "Epochs: how often a domain's tokens are read.", blank))
    return found


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
