"""What is found about a claim, and how findings on its parts become one.

Between `chameleon.reporting.statistics` and `chameleon.reporting.verdicts.judging`, which says what is
compared. A test gathers evidence first, the paired differences behind every interval of the whole claim, and
concludes when all of it is there: the intervals of a claim are one family.

The rule. `sides` says, after Holm's correction over the family, which intervals surely lie on the claimed
side of zero, which surely on the other. A claim of several intervals

- does not hold if one lies on the other side. Here Holm is needed: of many domains without any effect one
  would seem worse by chance, and one is enough to refute the claim.
- holds if all lie on the claimed side. This is an intersection-union test: since every part must pass, each
  at the plain level would already keep the claim's error at that level. Holm's answer is used here too, which
  is stricter and never less sure, so that one list of decided domains stands behind both verdicts.
- is undecided else.

A claim of one interval is decided where its 95 % t interval excludes zero. What the config alone decides is
not measured and is said to be so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chameleon.reporting.records.missing import FAILED, Gaps
from chameleon.reporting.records.tidy import Frames
from chameleon.reporting.statistics.stats import sides

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "undecided", "not measured"
#: The numbers in the config decide, not the training.
SET = "set by the config"
#: What a side of zero means for an interval's claim of `below zero`.
OF_SIDE = {-1: HOLDS, 0: OPEN, 1: FAILS}

Run = tuple[str, str, int]


class Finding(NamedTuple):
    """What was measured about a claim.

    Attributes:
        verdict: HOLDS, FAILS, OPEN, SET or ABSENT.
        measured: the numbers, in words.
        probability: of the claim's direction under the t model; None for a claim of several parts.
        intervals: how many intervals were looked at.
        needed: (scenario, method, seed) of the runs that it needs.
        lost: those of them that are missing, and whether they failed.
    """

    verdict: str
    measured: str
    probability: float | None = None
    intervals: int = 0
    needed: frozenset[Run] = frozenset()
    lost: frozenset[tuple[Run, str]] = frozenset()

    @property
    def said(self) -> str:
        """The verdict, and how many runs are missing if it stays open for want of them."""
        if self.verdict != OPEN or not self.lost:
            return self.verdict
        became = FAILED if all(state == FAILED for _, state in self.lost) else "are missing"
        return f"{OPEN}: {len(self.lost)} of {len(self.needed)} runs {became}"


@dataclass(frozen=True)
class Runs:
    """All results: kind and tidy frames of every scenario, in reading order."""

    kinds: Mapping[str, str]
    frames: Mapping[str, Frames]

    def of(self, *kinds: str) -> list[str]:
        """Return the scenarios of these kinds."""
        return [s for s, kind in self.kinds.items() if kind in kinds]


class Evidence(NamedTuple):
    """What a part of a claim rests on, before it is known what else the claim looks at.

    Attributes:
        samples: of each interval the paired differences, one per seed; below zero is the claimed side.
        conclude: makes the finding from the side of zero of each sample (−1, 0 or 1).
    """

    samples: tuple[tuple[float, ...], ...]
    conclude: Callable[[Sequence[int]], Finding]


@dataclass(frozen=True)
class Test:
    """How a claim is put to the test: called with the results it returns the finding."""

    evidence: Callable[[Runs], Evidence]

    def __call__(self, runs: Runs) -> Finding:
        found = self.evidence(runs)
        return found.conclude(sides(found.samples))


def every(*tests: Test) -> Test:
    """Return the test of a claim whose parts must all hold; their intervals are one family."""
    return Test(lambda runs: combine([test.evidence(runs) for test in tests]))


def everywhere(kinds: Sequence[str], what: str, evidence: Callable[[Runs, str], Evidence]) -> Test:
    """Return the test of a claim that must hold in every scenario of these kinds; `what` it is about."""
    return Test(lambda runs: combine([evidence(runs, s) for s in runs.of(*kinds)] or [absent(what)]))


def combine(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence on `all of these`."""

    def conclude(found: Sequence[int]) -> Finding:
        findings, at = [], 0
        for part in parts:
            findings.append(part.conclude(found[at : at + len(part.samples)]))
            at += len(part.samples)
        return _joined(findings)

    return Evidence(tuple(sample for part in parts for sample in part.samples), conclude)


def _joined(findings: Sequence[Finding]) -> Finding:
    """Return the finding on all: one that does not hold decides, then one that is open.

    If all that was measured holds, a part that the config sets has the last word, and a part that was not
    measured leaves the whole undecided. If none was, the whole was not.
    """
    verdict = worst([f.verdict for f in findings])
    alone = findings[0].probability if len(findings) == 1 else None
    needed, lost = (frozenset().union(*(getattr(f, name) for f in findings)) for name in ("needed", "lost"))
    measured = "; ".join(f.measured for f in findings)
    return Finding(verdict, measured, alone, sum(f.intervals for f in findings), needed, lost)


def worst(verdicts: Sequence[str]) -> str:
    """Return the verdict on a claim whose parts, which must all hold, have these."""
    found = next((v for v in (FAILS, OPEN, SET, HOLDS) if v in verdicts), ABSENT)
    return OPEN if found == HOLDS and ABSENT in verdicts else found


def complete(
    runs: Runs, scenario: str, part: str, evidence: Evidence, *methods: str, intervals: int = 1
) -> Evidence:
    """Return evidence that needs all seeds of `methods`: undecided if one is missing, and of how many.

    Args:
        part: of the runs, as `chameleon.reporting.records.missing` names it.
        evidence: from the seeds that are there.
        methods: two that are compared; one that was not planned leaves the evidence as it is.
        intervals: that the part would look at; they count in the family also where nothing is left of them.
    """
    gaps = Gaps(runs.frames[scenario])
    if not set(methods) <= set(gaps.methods):
        return evidence
    needed = frozenset((scenario, method, seed) for method in methods for seed in gaps.seeds)
    states = {(m, seed): state for m in methods for seed, state in gaps.lost(m, part).items()}
    n = gaps.planned - len({seed for _, seed in states})
    nothing = f"{scenario}, {' against '.join(methods)}: nothing"

    def conclude(found: Sequence[int]) -> Finding:
        finding = evidence.conclude(found)
        if not states:
            return finding._replace(needed=needed)
        what = nothing if finding.verdict == ABSENT else finding.measured
        return finding._replace(
            verdict=OPEN, measured=f"{what} ({gaps.over(n)})", probability=None, needed=needed,
            lost=frozenset(((scenario, m, seed), state) for (m, seed), state in states.items()),
        )  # fmt: skip

    samples = evidence.samples or (((),) * intervals if states else ())
    return Evidence(samples, conclude)


def absent(what: str) -> Evidence:
    """Return the evidence on what was not planned."""
    return Evidence((), lambda _: Finding(ABSENT, f"{what}: not measured"))
