"""Claims on cost, which the config decides, and under which setting a verdict was reached.

The FLOPs of a method's weights are counted from shapes, steps and numbers of windows: no seed and no training
moves them. So a ratio of two methods' costs says what the config asks for, and such a claim is not found to
hold or to fail: its verdict is `set by the config`, with the keys that set it and the paper's number beside
ours. Reads costs.csv.
"""

from collections.abc import Iterable

import pandas as pd

from chameleon.reporting.records.missing import RUN
from chameleon.reporting.records.tidy import first_seen, method_order, tested_domains
from chameleon.reporting.statistics.comparisons import BASE_STAGES, base_cost, weighting_cost
from chameleon.reporting.verdicts.findings import (
    SET,
    Evidence,
    Finding,
    Run,
    Runs,
    Test,
    absent,
    complete,
    everywhere,
)

#: Stage of costs.csv -> keys of the config that set its FLOPs.
KEYS = {
    "proxy": ("scenarios.{scenario}.proxy{scale}",),
    "reference": ("scenarios.{scenario}.proxy{scale}",),
    "extra": ("scenarios.{scenario}.proxy{scale}", "method_params.{method}.steps"),
    "swarm": ("method_params.{method}.num_proxies", "method_params.{method}.scale",
              "method_params.{method}.steps"),
    "embed": ("embeddings.windows",),
    "validation": ("evaluation.controller_tokens",),
}  # fmt: skip
#: Stages of a smaller share of a method's cost set nothing worth naming.
SMALLEST = 0.01


def cheaper(a: str, b: str, *kinds: str, at_most: float, printed: str) -> Test:
    """Return the test of `a's weights cost at most this share of b's FLOPs`, which the config decides.

    Args:
        a, b: methods.
        kinds: of the scenarios where they are compared.
        at_most: the claimed share.
        printed: the paper's own share, in words.
    """

    return everywhere(kinds, a, lambda runs, s: _cheaper(runs, s, a, b, at_most, printed))


def _cheaper(runs: Runs, scenario: str, a: str, b: str, at_most: float, printed: str) -> Evidence:
    costs = runs.frames[scenario]["costs"]
    mine, theirs = (weighting_cost(costs, m) for m in (a, b))
    found = absent(f"cost of {a} and {b} in {scenario}")
    if {a, b} <= set(costs["method"]) and theirs:
        ratio = mine / theirs
        met = "within" if ratio <= at_most else "above"
        keys = ", ".join(set_by(runs, scenario, a, b))
        measured = (
            f"{scenario}, {a}: {share(ratio)} of the FLOPs of {b}, {met} the {share(at_most)} claimed "
            f"(the paper's: {printed}); set by {keys}"
        )
        found = Evidence((), lambda _: Finding(SET, measured))
    return complete(runs, scenario, RUN, found, a, b, intervals=0)


def share(ratio: float) -> str:
    """Return a ratio in percent, with a decimal where it is small: `5.1 %`, `44 %`."""
    return f"{100 * ratio:.1f} %" if 0 < ratio < 0.1 else f"{100 * ratio:.0f} %"


def set_by(runs: Runs, scenario: str, *methods: str) -> list[str]:
    """Return the keys of the config that set what these methods' weights cost, by the stages paid for."""
    scale = ".scale" if runs.kinds[scenario] == "pretrain" else ""
    costs = runs.frames[scenario]["costs"]
    return first_seen(
        key.format(scenario=scenario, method=method, scale=scale)
        for method in methods
        for stage in _stages(costs, method)
        for key in KEYS.get(stage, (f"method_params.{method}",))
    )


def _stages(costs: pd.DataFrame, method: str) -> list[str]:
    """Return the stages that make up a method's cost, in their order."""
    mine = costs[(costs["method"] == method) & ~costs["stage"].isin(BASE_STAGES)]
    spent = mine.groupby("stage", sort=False)["flops"].sum()
    return [str(stage) for stage in spent.index if spent[stage] >= SMALLEST * spent.sum() > 0]


def setting(runs: Runs, needed: Iterable[Run]) -> str:
    """Return under which number of domains and which budgets runs were made: what a verdict is limited to.

    Args:
        needed: (scenario, method, seed) of the runs behind the verdict; those of the scenarios that have no
            results are left out.
    """
    used: dict[str, set[str]] = {}
    for scenario, method, _ in needed:
        used.setdefault(scenario, set()).add(method)
    said = []
    for scenario in [s for s in runs.kinds if s in used]:
        frames = runs.frames[scenario]
        costs = frames["costs"]
        methods = [m for m in method_order(used[scenario]) if base_cost(costs, m)]
        if not methods:
            continue
        tokens = base_cost(costs, methods[0], "tokens")
        paid = ", ".join(f"{m} {share(weighting_cost(costs, m) / base_cost(costs, m))}" for m in methods)
        said.append(
            f"{scenario}: k = {len(tested_domains(frames['metrics']))} domains, base runs of "
            f"{tokens / 1e6:.2f} M tokens, weights for {paid} of a base run's FLOPs"
        )
    return "; ".join(said)
