"""How a claim is put to the test: comparisons that end in holds, does not hold, undecided, or not measured.

Between `chameleon.reporting.statistics.comparisons` and `chameleon.reporting.verdicts.claims`, which names
the claims. The rule: the 95 % t interval of the difference paired by seed excludes zero in the claimed
direction: it holds; in the other: it does not; else it is undecided. A claim of several parts holds if all
hold and does not if one does not. A part that needs a run that failed is undecided, whatever the others say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chameleon.reporting.records.missing import FAILED, FEWSHOT, RUN, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, shots, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import curve, difference, differences, weighting_cost
from chameleon.reporting.statistics.stats import Estimate

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "undecided", "not measured"
#: "Not worse" means: not by more than this, in percent of mean perplexity.
MARGIN = 1.0


Run = tuple[str, str, int]


class Finding(NamedTuple):
    """What was measured about a claim.

    Attributes:
        verdict: HOLDS, FAILS, OPEN or ABSENT.
        measured: the numbers, in words.
        trend: where the second half of training moved them; empty if that was not followed.
        probability: of the claim's direction under the t model; None for a claim of several parts.
        intervals: how many intervals were looked at.
        needed: (scenario, method, seed) of the runs that it needs.
        lost: those of them that are missing, and whether they failed.
    """

    verdict: str
    measured: str
    trend: str = ""
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


Test = Callable[[Runs], Finding]


def signed(estimate: Estimate, decimals: int, unit: str) -> str:
    """Return `+1.2 ± 0.3 %` with real minus signs."""
    text = f"{estimate.mean:+.{decimals}f}".replace("-", "−")
    half = "" if estimate.half_width is None else f" ± {estimate.half_width:.{decimals}f}"
    return f"{text}{half} {unit}"


def below_zero(estimate: Estimate) -> str:
    """Return the verdict on `the true mean is below zero`."""
    if not estimate.excludes_zero:
        return OPEN
    return HOLDS if estimate.mean < 0 else FAILS


def combine(findings: Sequence[Finding]) -> Finding:
    """Return the finding on `all of these`.

    One that does not hold decides; else one that was not measured leaves the whole undecided. If none was,
    the whole was not.
    """
    verdicts = {f.verdict for f in findings}
    verdict = next((v for v in (FAILS, OPEN, HOLDS) if v in verdicts), ABSENT)
    if verdict == HOLDS and ABSENT in verdicts:
        verdict = OPEN
    alone = findings[0].probability if len(findings) == 1 else None
    measured = "; ".join(f.measured for f in findings)
    trends = "; ".join(f.trend for f in findings if f.trend)
    needed, lost = (frozenset().union(*(getattr(f, name) for f in findings)) for name in ("needed", "lost"))
    return Finding(verdict, measured, trends, alone, sum(f.intervals for f in findings), needed, lost)


def complete(runs: Runs, scenario: str, part: str, finding: Finding, *methods: str) -> Finding:
    """Return a finding that needs all seeds of `methods`: undecided if one is missing, and of how many.

    Args:
        part: of the runs, as `chameleon.reporting.records.missing` names it.
        finding: from the seeds that are there.
        methods: two that are compared; one that was not planned leaves the finding as it is.
    """
    gaps = Gaps(runs.frames[scenario])
    if not set(methods) <= set(gaps.methods):
        return finding
    needed = frozenset((scenario, method, seed) for method in methods for seed in gaps.seeds)
    states = {(m, seed): state for m in methods for seed, state in gaps.lost(m, part).items()}
    if not states:
        return finding._replace(needed=needed)
    n = gaps.planned - len({seed for _, seed in states})
    nothing = f"{scenario}, {' against '.join(methods)}: nothing"
    what = nothing if finding.verdict == ABSENT else finding.measured
    return finding._replace(
        verdict=OPEN, measured=f"{what} ({gaps.over(n)})", probability=None, needed=needed,
        lost=frozenset(((scenario, m, seed), state) for (m, seed), state in states.items()),
    )  # fmt: skip


def every(*tests: Test) -> Test:
    """Return the test of a claim whose parts must all hold."""
    return lambda runs: combine([test(runs) for test in tests])


def lower(a: str, b: str, *kinds: str, metric: str = "mean_perplexity", margin: float = 0.0) -> Test:
    """Return the test of `a has a lower metric than b`, in every scenario of these kinds.

    With a margin, of `a is not worse than b by more than the margin`: that holds if the whole interval lies
    below the margin, and does not if it lies above it.
    """

    def test(runs: Runs) -> Finding:
        return combine([_lower(runs, s, a, b, metric, margin) for s in runs.of(*kinds)] or [_absent(a)])

    return test


def _lower(runs: Runs, scenario: str, a: str, b: str, metric: str, margin: float) -> Finding:
    return complete(runs, scenario, RUN, _lower_there(runs, scenario, a, b, metric, margin), a, b)


def _lower_there(runs: Runs, scenario: str, a: str, b: str, metric: str, margin: float) -> Finding:
    metrics = runs.frames[scenario]["metrics"]
    estimate = difference(metrics, a, b, "mean", metric)
    if estimate is None:
        return _absent(f"{a} against {b} in {scenario}")
    unit, digits = ("%", 2) if metric == "mean_perplexity" else ("nats/token", 4)
    if margin and estimate.high is not None and estimate.low is not None:
        verdict = HOLDS if estimate.high < margin else FAILS if estimate.low > margin else OPEN
    else:
        verdict = below_zero(estimate)
    values = [x - margin for x in differences(metrics, a, b, "mean", metric)]
    return Finding(verdict, f"{scenario}, {a} against {b}: {signed(estimate, digits, unit)}",
                   trend(runs, scenario, a, b), stats.probability_below(values), 1)  # fmt: skip


def lower_on_every_domain(a: str, b: str, *kinds: str) -> Test:
    """Return the test of `a has a lower perplexity than b on every domain` of every such scenario."""

    def test(runs: Runs) -> Finding:
        found = [complete(runs, s, RUN, _every_domain(runs, s, a, b), a, b) for s in runs.of(*kinds)]
        return combine(found or [_absent(a)])

    return test


def _every_domain(runs: Runs, scenario: str, a: str, b: str) -> Finding:
    metrics = runs.frames[scenario]["metrics"]
    domains = tested_domains(metrics)
    found = {d: difference(metrics, a, b, d, "perplexity") for d in domains}
    verdicts = [below_zero(e) for e in found.values() if e is not None]
    if not verdicts or len(verdicts) < len(domains):
        return _absent(f"{a} against {b} in {scenario}")
    worse = [d for d, v in zip(domains, verdicts, strict=True) if v == FAILS]
    counts = f"lower on {verdicts.count(HOLDS)} of {len(domains)} domains"
    counts += f", higher on {len(worse)} ({', '.join(worse)})" if worse else ", higher on none"
    verdict = combine([Finding(v, "") for v in verdicts]).verdict
    return Finding(verdict, f"{scenario}, {a} against {b}: {counts}, {verdicts.count(OPEN)} undecided",
                   trend(runs, scenario, a, b), None, len(domains))  # fmt: skip


def more_accurate(a: str, b: str, *kinds: str) -> Test:
    """Return the test of `a has a higher mean few-shot accuracy than b`, at the largest number of shots."""

    def test(runs: Runs) -> Finding:
        found = [complete(runs, s, FEWSHOT, _accuracy(runs, s, a, b), a, b) for s in runs.of(*kinds)]
        return combine(found or [_absent(a)])

    return test


def _accuracy(runs: Runs, scenario: str, a: str, b: str) -> Finding:
    metrics = runs.frames[scenario]["metrics"]
    numbers = shots(metrics)
    name = f"acc_{numbers[-1]}shot" if numbers else ""
    # Accuracy of b minus a: below zero is what the claim says.
    points = [-100 * x for x in differences(metrics, a, b, "mean", name)]
    if not points:
        return _absent(f"few-shot accuracy of {a} and {b} in {scenario}")
    verdict = below_zero(stats.mean_interval(points))
    shown = signed(stats.mean_interval([-x for x in points]), 2, "points")
    return Finding(verdict, f"{scenario}, {a} against {b}, {numbers[-1]} shots: {shown}", "",
                   stats.probability_below(points), 1)  # fmt: skip


def cheaper(a: str, b: str, *kinds: str, at_most: float) -> Test:
    """Return the test of `a's weights cost at most this share of b's FLOPs`; counts have no interval."""

    def test(runs: Runs) -> Finding:
        found = [complete(runs, s, RUN, _cheaper(runs, s, a, b, at_most), a, b) for s in runs.of(*kinds)]
        return combine(found or [_absent(a)])

    return test


def _cheaper(runs: Runs, scenario: str, a: str, b: str, at_most: float) -> Finding:
    costs = runs.frames[scenario]["costs"]
    mine, theirs = (weighting_cost(costs, m) for m in (a, b))
    if not {a, b} <= set(costs["method"]) or not theirs:
        return _absent(f"cost of {a} and {b} in {scenario}")
    ratio = mine / theirs
    percent = f"{100 * ratio:.1f}" if ratio < 0.1 else f"{100 * ratio:.0f}"
    return Finding(HOLDS if ratio <= at_most else FAILS, f"{scenario}, {a}: {percent} % of the FLOPs of {b}")


def nobody_always_lower(methods: Sequence[str], b: str, *kinds: str) -> Test:
    """Return the test of `none of these methods is lower than b in every scenario of these kinds`.

    Holds if each is decidedly higher somewhere; does not if one is decidedly lower everywhere.
    """

    def test(runs: Runs) -> Finding:
        parts = []
        for method in methods:
            found = [_lower(runs, s, method, b, "mean_perplexity", 0.0) for s in runs.of(*kinds)]
            known = [f for f in found if f.verdict != ABSENT]
            if not known:
                parts.append(_absent(method))
                continue
            whole = combine(found)
            verdict = {FAILS: HOLDS, HOLDS: FAILS, OPEN: OPEN}[whole.verdict]
            measured = "; ".join(f.measured for f in known)
            parts.append(Finding(verdict, measured, "", None, len(known), whole.needed, whole.lost))
        return combine(parts)

    return test


def trend(runs: Runs, scenario: str, a: str, b: str) -> str:
    """Return how a − b in mean log-perplexity moved over the second half of training, and if surely so.

    The difference at the last point minus that at the first point not before half of the tokens, paired by
    seed, with its t interval. Towards the claim: downwards.
    """
    frames = runs.frames[scenario]
    table = curve(frames["curves"], a, b, tested_domains(frames["metrics"]))
    points = [] if table.empty else [t for t in table.columns if t >= table.columns[-1] / 2]
    if len(points) < 2:
        return ""
    first, last = table[points[0]], table[points[-1]]
    moved = stats.mean_interval((last - first).tolist())
    where = "no clear direction"
    if moved.excludes_zero:
        where = "towards the claim" if moved.mean < 0 else "away from the claim"
    shown = [f"{x.mean():+.3f}".replace("-", "−") for x in (first, last)]
    return f"{scenario}, {a} against {b}: {shown[0]} to {shown[1]} nats/token, {where}"


def _absent(what: str) -> Finding:
    return Finding(ABSENT, f"{what}: not measured")


def against_uniform(method: str, *kinds: str) -> Test:
    """Return the test of `a lower mean perplexity than uniform mixing`."""
    return lower(method, YARDSTICK, *kinds)
