"""Tables of the results: the main table, perplexity, few-shot, costs, weights, noise, verdicts.

Last stage of the flow. Reads the tidy files and results/corpora/*/report.json for the corpus tables; nothing
else. Writes each table as `.csv` (tidy, full precision), and as `.md` and `.html` (what it shows in a
sentence, rounded numbers). One file a subject; this one knows which name is built by what.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from chameleon.core import artifacts
from chameleon.reporting import catalogue
from chameleon.reporting.pages import page
from chameleon.reporting.records import tidy
from chameleon.reporting.records.tidy import NO_CORPUS, Frames, first_seen
from chameleon.reporting.tables.corpora import corpus_tables
from chameleon.reporting.tables.costs import costs, transfer_cost
from chameleon.reporting.tables.fewshot import fewshot
from chameleon.reporting.tables.main import main
from chameleon.reporting.tables.noise import noise
from chameleon.reporting.tables.parts import Table
from chameleon.reporting.tables.perplexity import difference, forgetting, perplexity
from chameleon.reporting.tables.verdicts import verdicts
from chameleon.reporting.tables.weights import epochs, krls, weights

__all__ = ["BUILDERS", "Table", "make_tables"]


def _published(scenario: str, frames: Frames) -> Table:
    from chameleon.reporting.published.beside import published_table

    return Table(*published_table(frames, scenario))


#: Table of a scenario -> what builds it from the scenario's name and tidy frames.
BUILDERS: dict[str, Callable[[str, Frames], Table]] = {
    "main": main, "perplexity": perplexity, "difference": difference, "forgetting": forgetting,
    "noise": noise, "weights": weights, "krls": krls, "epochs": epochs, "fewshot": fewshot, "costs": costs,
    "transfer_cost": transfer_cost, "published": _published,
}  # fmt: skip
#: Table over all scenarios -> what builds it from {scenario: kind} and {scenario: frames}.
OVERALL: dict[str, Callable[[Mapping[str, str], Mapping[str, Frames]], Table]] = {"verdicts": verdicts}


def make_tables(results: Path, out: Path, scenarios: Mapping[str, str]) -> None:
    """Write every table of every scenario, those over all scenarios and those of the corpora, into `out`.

    Args:
        results: folder of the tidy files and corpora.
        out: folder to write to; `chameleon.reporting.catalogue` says the file names.
        scenarios: {name: kind}, in reading order.

    Raises:
        UserError: a tidy file or corpus report is missing or malformed, or holds no row of a scenario.
    """
    results, out = Path(results), Path(out)
    frames = tidy.of_scenarios(results, scenarios)
    corpora = [c for f in frames.values() for c in f["metrics"]["corpus"] if c not in NO_CORPUS]
    of_corpora = corpus_tables(results, first_seen(corpora))
    for stem, (name, scenario) in catalogue.table_stems(scenarios).items():
        if scenario is not None:
            table = BUILDERS[name](scenario, frames[scenario])
        elif name in OVERALL:
            table = OVERALL[name](scenarios, frames)
        else:
            table = Table(*of_corpora[name])
        _write(out / stem, table)


def _write(stem: Path, table: Table) -> None:
    artifacts.write_csv(f"{stem}.csv", table.csv)
    text = f"{table.caption}\n\n{table.body}\n"
    artifacts.write_text(f"{stem}.md", text)
    artifacts.write_text(f"{stem}.html", page(stem.name.replace("_", " "), text))
