"""Names of the tables and figures, so that the workflow can list its outputs without importing pandas.

What a scenario gets follows from its kind, and from whether it is tested on unseen domains. The files are
`tables/{scenario}_{name}.csv/.md/.html` and `figures/{scenario}_{name}.png/.pdf`; tables over all scenarios
(OVERALL_TABLES) and of the corpora (CORPUS_TABLES) have no scenario in their names. `summary.md/.html` lies
beside the tidy files.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

#: Tidy files that the tables and figures are made from.
TIDY: tuple[str, ...] = ("metrics", "weights", "costs", "diagnostics", "curves", "documents")
KINDS: tuple[str, ...] = ("pretrain", "transfer", "finetune")

#: Tables of every scenario, in reading order, with the kinds of scenarios that have them.
TABLES: dict[str, tuple[str, ...]] = {
    "main": KINDS,
    "details": KINDS,
    "perplexity": KINDS,
    "difference": KINDS,
    "robust": KINDS,
    "unseen": KINDS,
    "forgetting": ("finetune",),
    "noise": KINDS,
    "weights": KINDS,
    "agreement": KINDS,
    "proxies": ("transfer",),
    "forecast": ("pretrain", "transfer"),
    "krls": KINDS,
    "epochs": KINDS,
    "fewshot": ("pretrain", "transfer"),
    "costs": KINDS,
    "transfer_cost": ("transfer",),
    "published": ("pretrain",),
}
#: The table that only scenarios with losses on unseen domains have.
UNSEEN = "unseen"
OVERALL_TABLES: tuple[str, ...] = ("verdicts",)
CORPUS_TABLES: tuple[str, ...] = ("corpora", "licences")

#: Figures of every scenario, in reading order, with the kinds of scenarios that have them.
FIGURES: dict[str, tuple[str, ...]] = {
    "ranks": KINDS,
    "distance": ("pretrain", "transfer"),
    "relative_perplexity": KINDS,
    "learning_curves": KINDS,
    "learning_curves_domains": KINDS,
    "forgetting": ("finetune",),
    "weights": KINDS,
    "weights_over_time": ("pretrain", "transfer"),
    "affinity": KINDS,
    "krls": KINDS,
    "pca": KINDS,
    "fewshot": ("pretrain", "transfer"),
    "quality_cost": ("pretrain", "transfer"),
}

#: Categories of the report. It sorts them by name, so each carries its place in the reading order.
CATEGORIES: dict[str, str] = {
    "summary": "1 Summary",
    "verdicts": "2 Verdicts",
    "pretrain": "3 Pretraining",
    "transfer": "4 Transfer",
    "finetune": "5 Finetuning",
    "fewshot": "6 Few-shot",
    "sensitivity": "7 Sensitivity",
    "costs": "8 Costs",
    "data": "9 Data",
}
#: Tables and figures that stand under a subject and not under their scenario's kind.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "verdicts": ("verdicts",),
    "fewshot": ("fewshot",),
    "costs": ("quality_cost", "costs", "transfer_cost"),
    "data": CORPUS_TABLES,
}
#: Subcategories under a kind of scenario, in reading order, with what stands there in reading order.
PARTS: dict[str, tuple[str, ...]] = {
    "1 Results": ("main", "details", "ranks", "relative_perplexity", "difference", "perplexity", "robust",
                  "forgetting", "published"),
    "2 Along training, noise": ("learning_curves", "learning_curves_domains", "noise"),
    "3 Weights": ("weights", "agreement", "distance", "weights_over_time", "epochs"),
    "4 Why these weights": ("affinity", "krls", "pca", "proxies", "forecast"),
    # Of its own: scenarios that share a part must have the same things in it.
    "5 Unseen domains": (UNSEEN,),
}  # fmt: skip


class Place(NamedTuple):
    """Where the report shows a table or figure, and under which label."""

    category: str
    subcategory: str | None
    shows: str


def tables(kind: str) -> tuple[str, ...]:
    """Return the tables that a scenario of this kind can have."""
    return tuple(name for name, kinds in TABLES.items() if kind in kinds)


def figures(kind: str) -> tuple[str, ...]:
    """Return the figures of a scenario of this kind."""
    return tuple(name for name, kinds in FIGURES.items() if kind in kinds)


def table_stems(
    scenarios: Mapping[str, str], unseen: Collection[str] = ()
) -> dict[str, tuple[str, str | None]]:
    """Return {file stem: (name, scenario or None)} of all tables.

    Args:
        scenarios: {name: kind}, in reading order.
        unseen: names of those that have losses on unseen domains.
    """
    of_scenarios = {
        f"{s}_{t}": (t, s)
        for s, kind in scenarios.items()
        for t in tables(kind)
        if t != UNSEEN or s in unseen
    }
    return {**of_scenarios, **{t: (t, None) for t in (*OVERALL_TABLES, *CORPUS_TABLES)}}


def figure_stems(scenarios: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return {file stem: (name, scenario)} of all figures; `scenarios` maps names to kinds."""
    return {f"{s}_{f}": (f, s) for s, kind in scenarios.items() for f in figures(kind)}


def place(name: str, scenario: str | None = None, kind: str | None = None, form: str = "table") -> Place:
    """Return where the report shows a table or figure.

    Within a category the report sorts by label, so labels begin with the place in the reading order. Under a
    subject that mixes kinds of scenarios every scenario has a subcategory of its own.

    Args:
        name: of a table, of a figure, or `summary`.
        scenario, kind: of what belongs to a scenario.
        form: `table` or `figure`; part of the label, for a name that both have. (A label of its own with two
            values would become a switch of the report's page.)
    """
    said = f"{name.replace('_', ' ')}, {form}"
    for subject, names in SUBJECTS.items():
        if name in names:
            part = None if kind is None else f"{KINDS.index(kind) + 1} {scenario}"
            return Place(CATEGORIES[subject], part, f"{names.index(name) + 1} {said}")
    if kind is None:
        return Place(CATEGORIES[name], None, name)
    part = next(part for part, names in PARTS.items() if name in names)
    return Place(CATEGORIES[kind], part, f"{PARTS[part].index(name) + 1} {said}")
