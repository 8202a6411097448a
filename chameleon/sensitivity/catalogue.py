"""Names of the study's tables, figures and tidy files, so that the workflow can list them without pandas.

Files: `sensitivity_{name}.csv/.md/.html` in tables/, `sensitivity_{name}.png/.pdf` in figures/, `{tidy}.csv`.
"""

from pathlib import Path

from chameleon.experiment.study_settings import FACTORS

#: Tidy file -> columns, in order.
COLUMNS = {
    "sensitivity": ("factor", "setting", "proxy_seed", "window_seed", "domain", "weight"),
    "sensitivity_distances": ("factor", "setting", "default", "quantity", "mean", "low", "high", "minimum",
                              "maximum", "n"),
    "sensitivity_variance": ("domain", "component", "sd", "share", "repetition", "proxies", "draws"),
    "sensitivity_averaging": ("recipe", "proxies", "steps", "total_steps", "windows", "repetition", "shift",
                              "how"),
    "sensitivity_eigenvalues": ("factor", "setting", "proxy_seed", "rank", "eigenvalue", "k_lambda"),
}  # fmt: skip
TIDY: tuple[str, ...] = tuple(COLUMNS)
TABLES: tuple[str, ...] = ("summary", "variance", "averaging")
FIGURES: tuple[str, ...] = ("overview", *FACTORS, "seeds", "averaging", "eigenvalues")
#: Reading order in the report; figure and table of one name stand together.
ORDER: tuple[str, ...] = ("overview", "summary", "seeds", "variance", "averaging", *FACTORS, "eigenvalues")


def pages(results: Path) -> list[Path]:
    """Return the files of all tables and figures of the study."""
    return [
        *(results / "tables" / f"sensitivity_{n}.{kind}" for n in TABLES for kind in ("csv", "md", "html")),
        *(results / "figures" / f"sensitivity_{n}.{kind}" for n in FIGURES for kind in ("png", "pdf")),
    ]


def labels(name: str, kind: str) -> dict[str, str]:
    """Return the report's labels of a table or figure (`kind`); it sorts by them."""
    return {"shows": f"{ORDER.index(name) + 1:02d} {name.replace('_', ' ')}", "kind": kind}
