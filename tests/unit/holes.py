"""Tidy results with holes: what a partial report is made from, for the tests of all that shows it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from tidy_results import SEEDS, frames, write

from chameleon.reporting.records.tidy import MISSING

WHY = "train: loss is not finite at step 3"
#: A hole's cells lack their test results; few-shot scores go with them.
Cell = tuple[str, int]


def cut(
    results: Path,
    runs: set[Cell] = frozenset(),
    scores: set[Cell] = frozenset(),
    state: str = "failed",
    edit: Callable[[dict], None] | None = None,
) -> Path:
    """Write the toy results without some runs, or without the few-shot scores of some.

    Args:
        results: folder to write.
        runs, scores: (method, seed).
        state: of the missing runs; scores were not run.
        edit: changes the whole rows first.
    """
    rows = frames()
    if edit is not None:
        edit(rows)
    rows = {name: [r for r in table if (r["method"], r["seed"]) not in runs] for name, table in rows.items()}
    rows["metrics"] = [
        r for r in rows["metrics"] if r["corpus"] != "fewshot" or (r["method"], r["seed"]) not in scores
    ]
    write(results, rows)
    missing = [("toy", *cell, part, state, WHY) for cell in sorted(runs) for part in ("run", "fewshot")]
    missing += [("toy", *cell, "fewshot", "not run", "") for cell in sorted(scores)]
    pd.DataFrame(missing, columns=list(MISSING)).to_csv(results / "missing.csv", index=False)
    return results


def whole(method: str) -> set[Cell]:
    return {(method, seed) for seed in SEEDS}


#: One seed of one method; a method whole; one seed of the yardstick; the yardstick whole; nothing left; seeds
#: that no two methods share; a seed of every method; scores only.
HOLES: dict[str, dict] = {
    "one_seed": {"runs": {("chameleon", 1)}},
    "a_method": {"runs": whole("natural")},
    "one_seed_of_uniform": {"runs": {("uniform", 2)}},
    "uniform": {"runs": whole("uniform")},
    "everything": {"runs": whole("uniform") | whole("natural") | whole("chameleon")},
    "no_seed_in_common": {"runs": {("uniform", 0), ("natural", 1), ("natural", 2), ("chameleon", 1)}},
    "a_seed_of_all": {"runs": {(m, 1) for m in ("uniform", "natural", "chameleon")}},
    "scores": {"scores": {("natural", 0), ("natural", 1), ("natural", 2), ("chameleon", 0)}},
}
