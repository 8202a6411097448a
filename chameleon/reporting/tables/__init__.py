"""Tables of the results: main, details, perplexity, losses, few-shot, costs, weights, noise, verdicts.

Last stage of the flow. Reads the tidy files and results/corpora/*/report.json for the corpus tables; nothing
else. Writes each table as `.csv` (tidy, full precision), and as `.md` and `.html` (what it shows in a
sentence, rounded numbers). One file a subject; this one knows which name is built by what.
"""

import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pandas as pd

from chameleon.reporting import catalogue
from chameleon.reporting.published.beside import published_table
from chameleon.reporting.records import tidy
from chameleon.reporting.records.missing import RUN, Gaps, note, parts_of
from chameleon.reporting.records.tidy import NO_CORPUS, Frames, first_seen
from chameleon.reporting.tables.agreement import agreement, forecast, proxies
from chameleon.reporting.tables.corpora import corpus_tables
from chameleon.reporting.tables.costs import costs, transfer_cost
from chameleon.reporting.tables.details import details
from chameleon.reporting.tables.fewshot import fewshot
from chameleon.reporting.tables.losses import robust, unseen
from chameleon.reporting.tables.main import main
from chameleon.reporting.tables.noise import noise
from chameleon.reporting.tables.parts import Table, empty, write
from chameleon.reporting.tables.perplexity import difference, forgetting, perplexity
from chameleon.reporting.tables.verdicts import verdicts
from chameleon.reporting.tables.weights import epochs, krls, weights

__all__ = ["BUILDERS", "Table", "make_tables"]


#: Table of a scenario -> what builds it from the scenario's name and tidy frames.
BUILDERS: dict[str, Callable[[str, Frames], Table]] = {
    builder.__name__: builder
    for builder in (main, details, perplexity, difference, robust, unseen, forgetting, noise, weights,
                    agreement, proxies, forecast, krls, epochs, fewshot, costs, transfer_cost)
}  # fmt: skip
BUILDERS["published"] = lambda scenario, frames: Table(*published_table(frames, scenario))
#: Table over all scenarios -> what builds it from {scenario: kind} and {scenario: frames}.
OVERALL: dict[str, Callable[[Mapping[str, str], Mapping[str, Frames]], Table]] = {"verdicts": verdicts}


def make_tables(
    results: Path,
    out: Path,
    scenarios: Mapping[str, str],
    with_unseen: Collection[str] = (),
    texts: Path | None = None,
    lost: Mapping[str, str] | None = None,
) -> None:
    """Write every table of every scenario, those over all scenarios and those of the corpora, into `out`.

    Args:
        results: folder of the tidy files and corpora.
        out: folder to write to; `chameleon.reporting.catalogue` says the file names.
        scenarios: {name: kind}, in reading order.
        with_unseen: names of those that have losses on unseen domains.
        texts: folder of the corpora, where a partial report's tidy files lie elsewhere.
        lost: {corpus: what became of it} of corpora that a partial report lacks.

    Raises:
        UserError: a tidy file or corpus report is missing or malformed, or holds no row of a scenario.
    """
    results, out = Path(results), Path(out)
    frames = tidy.of_scenarios(results, scenarios)
    corpora = [c for f in frames.values() for c in f["metrics"]["corpus"] if c not in NO_CORPUS]
    of_corpora = corpus_tables(texts or results, first_seen(corpora), lost)
    for stem, (name, scenario) in catalogue.table_stems(scenarios, with_unseen).items():
        if scenario is not None:
            table = of_scenario(name, scenario, frames[scenario])
        elif name in OVERALL:
            table = OVERALL[name](scenarios, frames)
            if (legend := note(frames, parts_of(name))) != "":
                table = table._replace(body=f"{table.body}\n\n{legend}")
        else:
            table = Table(*of_corpora[name])
        write(out / stem, table)


def of_scenario(name: str, scenario: str, frames: Frames) -> Table:
    """Return a table of a scenario; where runs are missing, with the legend that says which and why.

    A table that cannot be made of what is there says so and is no obstacle to the others.
    """
    gaps = Gaps(frames)
    if not gaps:
        return BUILDERS[name](scenario, frames)
    what = f"Table {name.replace('_', ' ')} of scenario `{scenario}`"
    if frames["metrics"].empty:
        table = empty("scenario method n", what, "no run of it is there")
    else:
        try:
            table = BUILDERS[name](scenario, frames)
        except Exception:
            traceback.print_exc()
            table = empty("scenario method n", what, "it could not be made of the runs that are there")
    lost, planned = gaps.count()
    caption = f"{table.caption} {lost} of {planned} runs are missing." if lost else table.caption
    legend = note({scenario: frames}, parts_of(name))
    body = "\n\n".join(part for part in (table.body, legend) if part)
    return Table(_with_missing(table.csv, scenario, gaps), caption, body)


def _with_missing(csv: pd.DataFrame, scenario: str, gaps: Gaps) -> pd.DataFrame:
    """Return a table's rows with the number of seeds planned, and a row for each method without any seed."""
    if not {"method", "n"} <= set(csv.columns):
        return csv
    gone = [method for method in gaps.gone(RUN) if method not in set(csv["method"])]
    rows = [{"scenario": scenario, "method": method, "n": 0} for method in gone]
    found = pd.concat([csv, pd.DataFrame(rows, columns=csv.columns)]) if rows else csv
    return found.assign(n_planned=gaps.planned)
