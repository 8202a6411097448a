"""Names of the study's tables, figures and tidy files, so that the workflow can list them without pandas.

Files: `sensitivity_{name}.csv/.md/.html` in tables/, `sensitivity_{name}.png/.pdf` in figures/, `{tidy}.csv`.
"""

from chameleon.experiment.study_settings import FACTORS
from chameleon.reporting.catalogue import CATEGORIES

TIDY: tuple[str, ...] = (
    "sensitivity",
    "sensitivity_distances",
    "sensitivity_variance",
    "sensitivity_averaging",
    "sensitivity_eigenvalues",
)
TABLES: tuple[str, ...] = ("summary", "variance", "averaging")
FIGURES: tuple[str, ...] = ("overview", *FACTORS, "seeds", "averaging", "eigenvalues")
#: Reading order in the report; figure and table of one name stand together.
ORDER: tuple[str, ...] = ("overview", "summary", "seeds", "variance", "averaging", *FACTORS, "eigenvalues")


def labels(name: str, kind: str) -> dict[str, str]:
    """Return the report's labels of a table or figure (`kind`); it sorts by them."""
    return {"shows": f"{ORDER.index(name) + 1:02d} {name.replace('_', ' ')}", "kind": kind}


def category() -> str:
    """Return the report's category of the study."""
    return CATEGORIES["sensitivity"]
