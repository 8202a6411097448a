"""What was planned and is not there: cells that failed or were not run, and what a reader is told of them.

A partial report has `missing.csv` beside its tidy files, a row for each missing part of a cell, which is a
(scenario, method, seed). A complete report has none, and then nothing here changes a word. Used by all that
shows numbers.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from chameleon.reporting.records.tidy import MISSING, YARDSTICK, Frames, method_order

#: Parts of a cell: its test results (and with them everything of it), its few-shot scores, its forgetting.
RUN, FEWSHOT, FORGETTING = PARTS = ("run", "fewshot", "forgetting")
CALLED = {FEWSHOT: "few-shot scores", FORGETTING: "forgetting"}
#: Tables and figures that show more of a run than its test results and weights.
SHOWN_IN = {
    FEWSHOT: ("main", "details", "fewshot", "costs", "published", "verdicts"),
    FORGETTING: ("forgetting",),
}
#: What became of it. A cell that waits for one that failed has failed too: nothing but a repair brings it.
FAILED, NOT_RUN = "failed", "not run"
#: What stands in a cell that has no number by its nature.
NONE = "–"


class Gaps:
    """The missing cells of one scenario.

    Attributes:
        rows: of `missing.csv`.
        methods: those planned, in the order of every table and figure.
        seeds: those planned; `planned` is their number.
    """

    def __init__(self, frames: Mapping[str, pd.DataFrame]) -> None:
        metrics = frames["metrics"]
        self.rows = frames.get("missing", pd.DataFrame(columns=list(MISSING)))
        # `unique`, as it is asked thousands of times.
        self.methods = method_order([*metrics["method"].unique(), *self.rows["method"]])
        self.seeds = sorted({*metrics["seed"].unique().tolist(), *self.rows["seed"]})
        self.planned = len(self.seeds)
        self._lost: dict[tuple[str, str], dict[int, str]] = {}
        for _, method, seed, part, state, _ in self.rows[list(MISSING)].itertuples(index=False):
            self._lost.setdefault((method, part), {})[seed] = state

    def __bool__(self) -> bool:
        return not self.rows.empty

    def lost(self, method: str, part: str = RUN) -> dict[int, str]:
        """Return {seed: state} of a method's cells without that part."""
        return self._lost.get((method, part), {})

    def gone(self, part: str = RUN) -> list[str]:
        """Return the methods of which no seed has that part."""
        return [m for m in self.methods if self and len(self.lost(m, part)) == self.planned]

    def word(self, method: str, part: str = RUN) -> str:
        """Return what stands in the place of a number: a dash, or what became of a method without seeds."""
        lost = list(self.lost(method, part).values())
        return NONE if not lost or len(lost) < self.planned else FAILED if FAILED in lost else NOT_RUN

    def apart(self, method: str, part: str = RUN) -> str:
        """Return what stands in the place of a method's difference to uniform."""
        own, other = self.word(method, part), self.word(YARDSTICK, part)
        if own != NONE or other != NONE:
            return own if own != NONE else f"{YARDSTICK} {other}"
        return "no seed in common" if self.lost(method, part) and self.lost(YARDSTICK, part) else NONE

    def over(self, n: int) -> str:
        """Return `n of N seeds`."""
        return f"{n} of {self.planned} seeds"

    def label(self, method: str, n: int | None = None, part: str = RUN) -> str:
        """Return a row's name: with the number of its seeds, n, where that is not all that were planned."""
        if n is None:
            n = self.planned - len(self.lost(method, part))
        return f"{method} ({self.over(n)})" if self and 0 < n < self.planned else method

    def cell(self, text: str, n: int | None, method: str, row: int | None = None, part: str = RUN) -> str:
        """Return a cell's text with its number of seeds, n, if that is not its row's."""
        row = self.planned - len(self.lost(method, part)) if row is None else row
        return text if not self or text == NONE or n in (None, 0, row) else f"{text} ({self.over(n or 0)})"

    def pairs(self, method: str, part: str = RUN) -> int:
        """Return how many seeds a method and uniform both have."""
        return self.planned - len({*self.lost(method, part), *self.lost(YARDSTICK, part)})

    def fewer(self, n: int) -> str | None:
        """Return how many seeds a whole table is over, if some are missing for all its methods."""
        return self.over(n) if self and n != self.planned else None

    def causes(self, parts: Sequence[str] = PARTS) -> list[str]:
        """Return one sentence for all that is missing for one reason: of which methods and seeds, and why."""
        seeds: dict[tuple[str, str, str, str], list[int]] = {}
        for _, method, seed, part, state, why in self.rows[list(MISSING)].itertuples(index=False):
            # Of a run that is missing, its scores need no mention.
            if part == RUN or (part in parts and seed not in self.lost(method)):
                seeds.setdefault((part, method, state, why), []).append(seed)
        alike: dict[tuple[str, str, str, tuple[int, ...]], list[str]] = {}
        for (part, method, state, why), found in seeds.items():
            alike.setdefault((part, state, why, tuple(found)), []).append(f"`{method}`")
        said = []
        for (part, state, why, lost), methods in alike.items():
            every = len(lost) == self.planned > 1
            numbers = ", ".join(map(str, lost))
            which = "every seed" if every else f"seed{'' if len(lost) == 1 else 's'} {numbers}"
            what = f", {CALLED[part]}" if part in CALLED else ""
            said.append(f"{', '.join(methods)}, {which}{what}: {state}" + (f" ({why})" if why else ""))
        return said

    def count(self) -> tuple[int, int]:
        """Return how many runs are missing, and how many were planned."""
        lost = self.rows[self.rows["part"] == RUN]
        return len(lost), len(self.methods) * self.planned


def counted(frames: Mapping[str, Frames]) -> tuple[int, int]:
    """Return how many runs of all scenarios are missing, and how many were planned."""
    counts = [Gaps(f).count() for f in frames.values()]
    return sum(lost for lost, _ in counts), sum(planned for _, planned in counts)


def parts_of(name: str) -> tuple[str, ...]:
    """Return which parts of a run a table or figure shows, so that its note speaks of no others."""
    return (RUN, *(part for part, names in SHOWN_IN.items() if name in names))


def _head(lost: int, planned: int) -> str:
    return f"Partial: {lost} of {planned} runs are missing" if lost else "Partial: some results are missing"


def short_note(frames: Frames, parts: Sequence[str] = PARTS) -> str:
    """Return the note of a figure of one scenario: how many runs are missing, and of which methods."""
    gaps = Gaps(frames)
    said = []
    for method in gaps.methods:
        for part in parts:
            what = f" ({CALLED[part]})" if part in CALLED else ""
            lost = gaps.lost(method, part)
            if lost and (part == RUN or set(lost) - set(gaps.lost(method))):
                n = gaps.planned - len(lost)
                said.append(f"{method}{what}: {gaps.over(n) if n else gaps.word(method, part)}")
    return f"{_head(*gaps.count())}. {'; '.join(said)}." if said else ""


def note(frames: Mapping[str, Frames], parts: Sequence[str] = PARTS, most: int = 12) -> str:
    """Return the legend below a table or figure: what its marks mean, and what is missing and why.

    Args:
        frames: {scenario: tidy frames} of what is shown.
        parts: of a run that are shown.
        most: causes that are named, the others are counted.
    """
    found = {scenario: Gaps(f) for scenario, f in frames.items()}
    several = len(found) > 1
    said = [
        f"`{s}`: {cause}" if several else cause for s, gaps in found.items() for cause in gaps.causes(parts)
    ]
    if not said:
        return ""
    rest = f"; and {len(said) - most} more (summary.md has all)" if len(said) > most else ""
    return (
        f"{_head(*counted(frames))}; {FAILED}: it failed, or what it needs did; {NOT_RUN}: the run stopped "
        "before it; `n of N seeds`: a mean over fewer seeds than planned. Missing: "
        f"{'; '.join(said[:most])}{rest}."
    )
