"""What each table and figure reads: kinds of tidy rows. A test moves one kind at a time and looks.

A kind is rows of one tidy file that come from the same sort of job. Tables over all scenarios read other
kinds of other kinds of scenarios.
"""

from collections.abc import Collection, Mapping, Sequence

from chameleon.reporting import catalogue
from chameleon.sensitivity import catalogue as study

#: Kinds of rows by tidy file.
KINDS: dict[str, tuple[str, ...]] = {
    "metrics": ("tested", "kept", "unseen", "fewshot"),
    "weights": ("weights",),
    "costs": ("costs", "tests"),
    "diagnostics": ("krls", "affinity", "pca", "trajectory", "epochs", "foretold", "other"),
    "curves": ("curves",),
    "documents": ("documents",),
    # Rows of the study's files are not told apart.
    **{name: (name,) for name in study.TIDY},
}
#: Quantities of diagnostics.csv by kind; others are single numbers of a method.
QUANTITIES = {"score": "krls", "eigenvalue": "krls", "k_lambda": "krls", "affinity": "affinity",
              "embedding_pc": "pca", "embedding_pc_share": "pca", "trajectory": "trajectory",
              "effective_epochs": "epochs", "foretold_loss": "foretold",
              "heldout_spearman": "foretold"}  # fmt: skip

#: Table or figure of a scenario -> kinds of rows.
TABLES = {"main": "tested documents unseen fewshot costs weights", "details": "tested fewshot",
          "perplexity": "tested", "difference": "tested", "noise": "tested", "robust": "tested documents",
          "unseen": "unseen", "forgetting": "kept",
          "weights": "weights curves", "agreement": "weights curves", "proxies": "weights krls affinity",
          "forecast": "foretold tested", "krls": "krls", "epochs": "epochs", "fewshot": "fewshot",
          "costs": "costs tests", "transfer_cost": "costs",
          "published": "tested fewshot costs"}  # fmt: skip
FIGURES = {"ranks": "tested weights", "distance": "tested weights curves",
           "relative_perplexity": "tested", "learning_curves": "curves",
           "learning_curves_domains": "curves", "forgetting": "tested kept", "weights": "weights curves",
           "weights_over_time": "weights trajectory curves",
           "affinity": "affinity", "krls": "krls", "pca": "pca", "fewshot": "fewshot",
           "quality_cost": "tested costs"}  # fmt: skip
#: What is over all scenarios -> kind of scenario -> kinds of rows.
OVERALL = {
    "tables/verdicts": {"pretrain": "tested fewshot costs foretold", "transfer": "tested costs",
                        "finetune": "tested costs"},
    "summary": {"pretrain": "tested fewshot costs foretold tests", "transfer": "tested costs tests",
                "finetune": "tested costs tests"},
    "page": {"pretrain": "tested fewshot costs foretold tests weights curves",
             "transfer": "tested costs tests weights curves",
             "finetune": "tested costs tests weights curves"},
}  # fmt: skip
STUDY_TABLES = {"summary": "sensitivity_distances", "variance": "sensitivity_variance",
                "averaging": "sensitivity_averaging sensitivity_variance"}  # fmt: skip
#: Figures of the study that are no factor's; a factor's shows its weights and their distances.
STUDY_FIGURES = {"overview": "sensitivity_distances", "seeds": "sensitivity sensitivity_variance",
                 "averaging": "sensitivity_averaging", "eigenvalues": "sensitivity_eigenvalues"}  # fmt: skip
FACTOR = "sensitivity sensitivity_distances"

#: Scenario (empty: of the study) and kind of rows.
Source = tuple[str, str]


def kind(tidy: str, row: Sequence[object]) -> str:
    """Return the kind of a row of a tidy file, given its cells in the order of the columns."""
    if tidy == "metrics":
        if row[1] == "fewshot":
            return "fewshot"
        metric = str(row[6])
        if metric.endswith("unseen_loss"):
            return "unseen"
        return "kept" if metric.startswith("kept_") or metric.endswith("forgetting") else "tested"
    if tidy == "costs":
        return "tests" if row[3] in ("evaluate", "fewshot") else "costs"
    if tidy == "diagnostics":
        return QUANTITIES.get(str(row[3]), "other")
    return tidy


def readers(scenarios: Mapping[str, str], unseen: Collection[str] = ()) -> dict[str, frozenset[Source]]:
    """Return what every table, every figure, the summary and the page read.

    Args:
        scenarios: {name: kind}; empty for the study alone.
        unseen: names of those that have losses on unseen domains.

    Returns:
        {`tables/NAME`, `figures/NAME`, `summary` or `page`: (scenario, kind of rows)}; no row for what is
        made from the corpora's reports.
    """
    found: dict[str, frozenset[Source]] = {}
    for stem, (name, scenario) in catalogue.table_stems(scenarios, unseen).items():
        read = TABLES[name].split() if scenario is not None else ()
        found[f"tables/{stem}"] = frozenset((str(scenario), one) for one in read)
    for stem, (name, scenario) in catalogue.figure_stems(scenarios).items():
        found[f"figures/{stem}"] = frozenset((scenario, one) for one in FIGURES[name].split())
    for stem, by_kind in OVERALL.items():
        found[stem] = frozenset((s, one) for s in scenarios for one in by_kind.get(scenarios[s], "").split())
    return found


def study_readers() -> dict[str, frozenset[Source]]:
    """Return the same of the sensitivity study."""
    tables = {f"tables/sensitivity_{name}": STUDY_TABLES[name] for name in study.TABLES}
    figures = {f"figures/sensitivity_{name}": STUDY_FIGURES.get(name, FACTOR) for name in study.FIGURES}
    return {
        stem: frozenset(("", one) for one in read.split()) for stem, read in {**tables, **figures}.items()
    }
