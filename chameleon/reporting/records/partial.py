"""Gathers what a run that failed has left: tidy files of the cells that are there, and a list of the others.

Beside `collect`, whose rows it uses. What lies on the disk is not enough: after a change of the config old
results lie there until their job starts, so what Snakemake left undone is asked first. Writes the tidy files
and `missing.csv`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from chameleon.core.artifacts import write_csv
from chameleon.core.errors import UserError
from chameleon.reporting.records import collect
from chameleon.reporting.records.collect import Part, Paths, Row
from chameleon.reporting.records.missing import FAILED, FEWSHOT, FORGETTING, NOT_RUN, RUN
from chameleon.reporting.records.tidy import MISSING
from chameleon.reporting.records.unfinished import Unfinished, reason

Spec = Mapping[str, Any]


def collect_partial(spec: Spec, results: Path, out: Path, unfinished: Unfinished) -> None:
    """Write the tidy files of what is there, and `missing.csv`, into `out`.

    Args:
        spec: as `specs.collect` makes it.
        results: the results folder.
        out: folder to write to; few-shot scores of single models lie in `fewshot/` below it.
        unfinished: what Snakemake left undone.
    """
    rows: dict[str, list[Row]] = {name: [] for name in (*collect.COLUMNS, "missing")}
    for scenario, what in spec["scenarios"].items():
        few, priced = _fewshot(scenario, what, results, out, unfinished)
        scored, tested = {row[3:5] for row in few}, set()
        for method, needs in what["methods"].items():
            for seed in spec["seeds"]:
                paths = Paths(results, scenario, method, seed, needs["embedder"])
                try:
                    found = [(part.tidy, list(part.rows)) for part in _cell(paths, what, unfinished)]
                    lost = list(_missing(paths, what, unfinished, (method, seed) in scored))
                except UserError as error:
                    why = f"its files cannot be read: {error}"
                    found, lost = [], list(_without(paths, what, FAILED, why))
                for name, part in [*found, ("missing", lost)]:
                    rows[name] += part
                    tested |= {(method, seed)} if name == "metrics" else set()
        # A model that was not tested on text is missing as a whole.
        rows["metrics"] += [row for row in few if row[3:5] in tested]
        rows["costs"] += [row for row in priced if row[1:3] in tested]
    for name in collect.COLUMNS:
        write_csv(out / f"{name}.csv", collect.frame(name, rows[name]))
    write_csv(out / "missing.csv", pd.DataFrame(rows["missing"], columns=list(MISSING)))


def _fewshot(
    scenario: str, what: Mapping[str, Any], results: Path, out: Path, unfinished: Unfinished
) -> tuple[list[Row], list[Row]]:
    """Return the few-shot rows of metrics.csv and costs.csv: of all models, or of those scored so far."""
    whole = unfinished.there(results / "fewshot" / f"{scenario}.json")
    folder = results if whole else out
    if not what["fewshot"] or not (folder / "fewshot" / f"{scenario}.json").exists():
        return [], []
    try:
        return list(collect.fewshot_metrics(folder, scenario)), list(collect.fewshot_costs(folder, scenario))
    except UserError as error:
        print(f"few-shot scores of {scenario}: {error}")
        return [], []


def _cell(paths: Paths, what: Mapping[str, Any], unfinished: Unfinished) -> Iterator[Part]:
    """Yield the rows of what there is of one (scenario, method, seed)."""
    needs = what["methods"][paths.key[1]]
    if unfinished.there(paths.metrics):
        told = bool(needs.get("foretells")) and unfinished.there(paths.forecast)
        kept = not what["kept"] or unfinished.there(collect.start_file(paths, what))
        yield from collect.cell(paths, what, told, forgetting=kept)
    elif unfinished.there(paths.weights) and not needs["online"]:
        # The weights were found, their base run failed; weights that move exist in that run only.
        yield Part("weights", paths.key, collect.weights(paths))
        yield Part("diagnostics", paths.key, collect.reasons(paths, what["domains"]))


def _without(paths: Paths, what: Mapping[str, Any], state: str, why: str) -> Iterator[Row]:
    """Yield the rows of missing.csv of a cell that is missing as a whole: one for each part planned."""
    for part, planned in ((RUN, True), (FEWSHOT, what["fewshot"]), (FORGETTING, bool(what["kept"]))):
        if planned:
            yield (*paths.key, part, state, why)


def _missing(paths: Paths, what: Mapping[str, Any], unfinished: Unfinished, scored: bool) -> Iterator[Row]:
    """Yield the rows of missing.csv of one (scenario, method, seed)."""
    scenario, method, seed = paths.key
    cell = {"scenario": scenario, "method": method, "seed": seed}
    if not unfinished.there(paths.metrics):
        yield from _without(paths, what, *reason(unfinished, unfinished.of(paths.metrics), **cell))
        return
    if what["fewshot"] and not scored:
        job = unfinished.of(paths.results / "fewshot" / f"{scenario}.json")
        # The models of a scenario are scored together: another one that failed is no failure of this one.
        own = [] if job is None else [r for r in unfinished.roots(job) if r.rule in ("fewshot", "items")]
        state, why = reason(unfinished, own[0]) if own else (NOT_RUN, "waits for the scenario's other models")
        yield (*paths.key, FEWSHOT, state, why)
    if what["kept"] and not unfinished.there(start := collect.start_file(paths, what)):
        yield (*paths.key, FORGETTING, *reason(unfinished, unfinished.of(start), **cell))
