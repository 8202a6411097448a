"""Names of the tables and figures, so that the workflow can list its outputs without importing pandas.

The files are `{scenario}_{name}.csv/.md` for TABLES, `{name}.csv/.md` for CORPUS_TABLES and
`{scenario}_{name}.png/.pdf` for FIGURES.
"""

TABLES: tuple[str, ...] = ("perplexity", "difference", "weights", "costs", "krls", "epochs", "noise")
CORPUS_TABLES: tuple[str, ...] = ("corpora", "licences")
FIGURES: tuple[str, ...] = ("weights", "affinity", "krls", "pca", "relative_perplexity")
#: Tidy files that the tables and figures are made from.
TIDY: tuple[str, ...] = ("metrics", "weights", "costs", "diagnostics")
#: Category of each table and figure in the report, in reading order.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "Results": ("relative_perplexity", "difference", "perplexity", "noise", "costs"),
    "Domains": ("weights", "affinity", "krls", "pca", "epochs"),
    "Data": CORPUS_TABLES,
}


def category(name: str) -> str:
    """Return the report category of a table or figure by its name without the scenario."""
    return next(category for category, names in CATEGORIES.items() if name in names)
