"""What the papers' claims compare: perplexity on average or on every domain, and few-shot accuracy.

Between `chameleon.reporting.statistics.comparisons` and `chameleon.reporting.verdicts.claims`, which names
the claims; `chameleon.reporting.verdicts.findings` has the rule that decides, `budgets` the claims on cost.
Every number here is of full test sets at the end of training. Points of the learning curves are of a part of
the test set under a learning rate that is still falling, and no verdict rests on them.
"""

from collections.abc import Sequence

from chameleon.reporting.records.missing import FEWSHOT, RUN
from chameleon.reporting.records.tidy import shots, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import difference, differences
from chameleon.reporting.statistics.ranking import foretold_order
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.verdicts.findings import (
    ABSENT,
    FAILS,
    HOLDS,
    OF_SIDE,
    OPEN,
    Evidence,
    Finding,
    Runs,
    Test,
    absent,
    combine,
    complete,
    everywhere,
    worst,
)

#: "Not worse" means: not by more than this, in percent of mean perplexity.
MARGIN = 1.0
#: "As well" of rank correlations: not lower by more than this.
RANK_MARGIN = 0.1


def signed(estimate: Estimate, decimals: int, unit: str) -> str:
    """Return `+1.2 ± 0.3 %` with real minus signs."""
    text = f"{estimate.mean:+.{decimals}f}".replace("-", "−")
    half = "" if estimate.half_width is None else f" ± {estimate.half_width:.{decimals}f}"
    return f"{text}{half} {unit}"


def lower(a: str, b: str, *kinds: str, metric: str = "mean_perplexity", margin: float = 0.0) -> Test:
    """Return the test of `a has a lower metric than b`, in every scenario of these kinds.

    With a margin, of `a is not worse than b by more than the margin`: differences count from the margin.
    """
    return everywhere(kinds, a, lambda runs, s: _lower(runs, s, a, b, metric, margin))


def _lower(runs: Runs, scenario: str, a: str, b: str, metric: str, margin: float) -> Evidence:
    metrics = runs.frames[scenario]["metrics"]
    found = absent(f"{a} against {b} in {scenario}")
    if (estimate := difference(metrics, a, b, "mean", metric)) is not None:
        unit, digits = ("%", 2) if metric == "mean_perplexity" else ("nats/token", 4)
        values = tuple(x - margin for x in differences(metrics, a, b, "mean", metric).values())
        found = _one(values, f"{scenario}, {a} against {b}: {signed(estimate, digits, unit)}")
    return complete(runs, scenario, RUN, found, a, b)


def _one(values: tuple[float, ...], measured: str) -> Evidence:
    """Return the evidence of one interval."""
    probability = stats.probability_below(values)
    return Evidence((values,), lambda found: Finding(OF_SIDE[found[0]], measured, probability, 1))


def lower_on_every_domain(a: str, b: str, *kinds: str) -> Test:
    """Return the test of `a has a lower perplexity than b on every domain` of every such scenario."""
    return everywhere(kinds, a, lambda runs, s: _every_domain(runs, s, a, b))


def _every_domain(runs: Runs, scenario: str, a: str, b: str) -> Evidence:
    metrics = runs.frames[scenario]["metrics"]
    domains = tested_domains(metrics)
    samples = tuple(tuple(differences(metrics, a, b, d, "perplexity").values()) for d in domains)

    def conclude(found: Sequence[int]) -> Finding:
        verdicts = [OF_SIDE[side] for side in found]
        worse = [d for d, v in zip(domains, verdicts, strict=True) if v == FAILS]
        counts = f"lower on {verdicts.count(HOLDS)} of {len(domains)} domains"
        counts += f", higher on {len(worse)} ({', '.join(worse)})" if worse else ", higher on none"
        measured = f"{scenario}, {a} against {b}: {counts}, {verdicts.count(OPEN)} undecided"
        return Finding(worst(verdicts), measured, None, len(domains))

    known = bool(samples) and all(samples)
    evidence = Evidence(samples, conclude) if known else absent(f"{a} against {b} in {scenario}")
    return complete(runs, scenario, RUN, evidence, a, b, intervals=len(domains))


def more_accurate(a: str, b: str, *kinds: str) -> Test:
    """Return the test of `a has a higher mean few-shot accuracy than b`, at the largest number of shots."""
    return everywhere(kinds, a, lambda runs, s: complete(runs, s, FEWSHOT, _accuracy(runs, s, a, b), a, b))


def _accuracy(runs: Runs, scenario: str, a: str, b: str) -> Evidence:
    metrics = runs.frames[scenario]["metrics"]
    numbers = shots(metrics)
    name = f"acc_{numbers[-1]}shot" if numbers else ""
    # Accuracy of b minus a: below zero is what the claim says.
    points = tuple(-100 * x for x in differences(metrics, a, b, "mean", name).values())
    if not points:
        return absent(f"few-shot accuracy of {a} and {b} in {scenario}")
    shown = signed(stats.mean_interval([-x for x in points]), 2, "points")
    return _one(points, f"{scenario}, {a} against {b}, {numbers[-1]} shots: {shown}")


def orders_as_well(a: str, b: str, *kinds: str) -> Test:
    """Return the test of `what a foretells orders others' mixtures as well as what b does`.

    The rank correlation with base models' losses may be lower by no more than RANK_MARGIN.
    """
    return everywhere(kinds, a, lambda runs, s: complete(runs, s, RUN, _orders(runs, s, a, b), a, b))


def _orders(runs: Runs, scenario: str, a: str, b: str) -> Evidence:
    mine, theirs = (foretold_order(runs.frames[scenario], method) for method in (a, b))
    shared = sorted(set(mine) & set(theirs))
    if not shared:
        return absent(f"what {a} and {b} foretell in {scenario}")
    less = [theirs[seed] - mine[seed] for seed in shared]
    shown = signed(stats.mean_interval([-x for x in less]), 2, "of rank correlation")
    values = tuple(x - RANK_MARGIN for x in less)
    return _one(values, f"{scenario}, {a} against {b}: {shown}")


def nobody_always_lower(methods: Sequence[str], b: str, *kinds: str) -> Test:
    """Return the test of `none of these methods is lower than b in every scenario of these kinds`.

    Holds if each is decidedly higher somewhere; does not if one is decidedly lower everywhere.
    """
    return Test(lambda runs: combine([_not_always(runs, method, b, kinds) for method in methods]))


def _not_always(runs: Runs, method: str, b: str, kinds: Sequence[str]) -> Evidence:
    there = [_lower(runs, s, method, b, "mean_perplexity", 0.0) for s in runs.of(*kinds)]
    always = combine(there or [absent(method)])
    turned = {FAILS: HOLDS, HOLDS: FAILS, OPEN: OPEN, ABSENT: ABSENT}

    def conclude(found: Sequence[int]) -> Finding:
        whole = always.conclude(found)
        return whole._replace(verdict=turned[whole.verdict], probability=None)

    return Evidence(always.samples, conclude)
