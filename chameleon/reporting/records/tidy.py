"""Read the tidy result files, and the fixed order of methods and domains in tables and figures.

Reads metrics.csv, weights.csv, costs.csv, diagnostics.csv, curves.csv, documents.csv, and missing.csv of a
partial report; used by tables, figures, verdicts and the summary only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from chameleon.core.errors import UserError, choices

#: Columns of each tidy file, in order.
COLUMNS = {
    "metrics": ("scenario", "corpus", "scale", "method", "seed", "domain_or_task", "metric", "value", "unit"),
    "weights": ("scenario", "method", "seed", "step", "domain", "weight"),
    "costs": ("scenario", "method", "seed", "stage", "tokens", "flops", "seconds", "device"),
    "diagnostics": ("scenario", "method", "seed", "quantity", "domain", "other", "value"),
    "curves": ("scenario", "method", "seed", "step", "tokens", "domain", "loss"),
    "documents": ("scenario", "method", "seed", "domain", "document", "blocks", "loss"),
}
#: Columns of missing.csv, which only a partial report has: what was planned and is not there.
MISSING = ("scenario", "method", "seed", "part", "state", "reason")
NUMBERS = ("value", "weight", "tokens", "flops", "seconds", "blocks", "loss")
INTEGERS = ("seed", "step", "document")
#: Reading order: the yardstick, the free baselines, the learned ones by kind (a proxy, a swarm, experts,
#: online), ours, controls; others follow by name.
METHODS = ("uniform", "natural", "temperature", "unimax", "medu", "da2", "fixed", "doremi", "doge",
           "in_run_shapley", "datamodel", "regmix", "climb", "mde", "data_mixing_law", "nested_mixing_law",
           "olmix", "mixture_reuse", "utilimax", "mixmin", "demix", "modular_merge", "regmean", "duet",
           "aioli", "aioli_mean", "aioli_regmix", "skill_it", "odm", "ado", "rnb", "pike", "chameleon",
           "chameleon_scaled", "chameleon_retrained", "chameleon_pt", "chameleon_ft",
           "chameleon_permuted", "chameleon_untrained", "chameleon_lexical", "chameleon_lexical_scaled",
           "chameleon_sentence", "chameleon_sentence_scaled", "single_domain", "swarm_best")  # fmt: skip
YARDSTICK = "uniform"
#: What `domain_or_task` says of a mean over several domains: all, and in a transfer those kept and those new.
GROUPS = {"mean": "", "mean_old": ", old domains", "mean_new": ", new domains"}
#: Means that stand behind the domains: short name and decimals.
MEANS = {"mean_perplexity": ("mean perplexity", 2), "mean_log_perplexity": ("mean log-perplexity", 4)}
#: What `corpus` says of rows that belong to no corpus.
NO_CORPUS = ("all", "fewshot")

Frames = dict[str, pd.DataFrame]


def read(results: Path, name: str) -> pd.DataFrame:
    """Return `results/<name>.csv` with names as text, INTEGERS as int, NUMBERS as float.

    Raises:
        UserError: no such file, other columns, or a cell that is no number where one belongs.
    """
    path = Path(results) / f"{name}.csv"
    frame = read_cells(path, COLUMNS.get(name, MISSING))
    for column in frame.columns:
        if column in NUMBERS or column in INTEGERS:
            try:
                frame[column] = pd.to_numeric(frame[column]).astype(float if column in NUMBERS else int)
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}: column {column}: {error}") from error
    return frame


def read_cells(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table of these columns, every cell as text.

    Raises:
        UserError: no such file, no table, or one of other columns.
    """
    # As text: pandas would read a domain called "null" or "NA" as missing.
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table: {' '.join(str(error).split())}") from error
    if tuple(frame.columns) != columns:
        raise UserError(f"{path}: columns {', '.join(frame.columns)}; expected {', '.join(columns)}")
    return frame


def of_scenarios(
    results: Path, scenarios: Iterable[str] | None, lacking: Collection[str] = ()
) -> dict[str, Frames]:
    """Return {scenario: its rows in every tidy file}, each file read once.

    `missing` holds what a partial report lacks (see `chameleon.reporting.records.missing`), else no rows.

    Args:
        results: folder of the tidy files.
        scenarios: in order; None: all that there are.
        lacking: names of tidy files that need not be there: they have no rows.

    Raises:
        UserError: metrics.csv has no row of a scenario; the message lists the scenarios there are.
    """
    empty = {*lacking} if (Path(results) / "missing.csv").exists() else {*lacking, "missing"}
    columns = {**COLUMNS, "missing": MISSING}
    frames = {
        n: pd.DataFrame(columns=list(c)) if n in empty else read(results, n) for n, c in columns.items()
    }
    known = first_seen([*frames["metrics"]["scenario"], *frames["missing"]["scenario"]])
    found = {}
    for scenario in known if scenarios is None else scenarios:
        if scenario not in known:
            raise UserError(f"{Path(results) / 'metrics.csv'}: scenario {choices(scenario, sorted(known))}")
        found[scenario] = {n: f[f["scenario"] == scenario].reset_index(drop=True) for n, f in frames.items()}
    return found


def method_order(methods: Iterable[str]) -> list[str]:
    """Return the methods in the order of every table and figure."""
    return sorted(set(methods), key=lambda m: (METHODS.index(m) if m in METHODS else len(METHODS), m))


def first_seen(values: Iterable[Any]) -> list[Any]:
    """Return the distinct values in the order of their first appearance (the config's, for domains)."""
    return list(dict.fromkeys(values))


def tested_domains(metrics: pd.DataFrame) -> list[str]:
    """Return the domains whose test perplexity was measured, in the config's order."""
    return first_seen(metrics[metrics["metric"] == "perplexity"]["domain_or_task"])


def unseen_domains(metrics: pd.DataFrame) -> list[str]:
    """Return the domains that base models were tested on and nothing of the scenario saw."""
    return first_seen(metrics[metrics["metric"] == "unseen_loss"]["domain_or_task"])


def perplexities(metrics: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return (domain, metric, heading) of every column of a perplexity table: the domains, then the means."""
    columns = [(domain, "perplexity", domain) for domain in tested_domains(metrics)]
    present = set(metrics["domain_or_task"])
    for group, suffix in GROUPS.items():
        if group in present:
            columns += [(group, metric, f"{name}{suffix}") for metric, (name, _) in MEANS.items()]
    return columns


def diagnostic(frames: Mapping[str, pd.DataFrame], quantity: str, method: str | None = None) -> pd.DataFrame:
    """Return the rows of one quantity of diagnostics.csv, of all methods or of one."""
    rows = frames["diagnostics"]
    mine = rows["quantity"] == quantity
    return rows[mine if method is None else mine & (rows["method"] == method)]


def shots(metrics: pd.DataFrame) -> list[int]:
    """Return the numbers of shots that few-shot accuracy was measured with, ascending."""
    found = metrics["metric"].str.extract(r"^acc_(\d+)shot$")[0].dropna()
    return sorted({int(n) for n in found})


def tasks(metrics: pd.DataFrame) -> dict[str, float]:
    """Return {few-shot task: accuracy of guessing}, in the order of the file."""
    rows = metrics[(metrics["metric"] == "chance") & (metrics["domain_or_task"] != "mean")]
    return dict(zip(rows["domain_or_task"], rows["value"], strict=True))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return a Markdown table: the first `text_columns` columns to the left, the others to the right."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    rule = "|".join([":--"] * text_columns + ["--:"] * (len(header) - text_columns))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])
