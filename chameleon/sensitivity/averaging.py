"""What a user could do against the spread of the weights, measured: longer proxies, more windows, averages.

A recipe is a way to get one set of weights. Its *repetition* is the expected total variation distance
between the weights of two users who follow it with other seeds; its *shift* the distance of its mean
weights to those of the longest proxies, the best that the study has. Embeddings of two proxies live in
spaces of their own and cannot be averaged; their affinities and their weights can. Checkpoints of one proxy
share its space.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chameleon.reporting.statistics.stats import total_variation
from chameleon.sensitivity.spread import (
    disjoint,
    jackknife_sd,
    repetition,
    variance_components,
)
from chameleon.sensitivity.weigh import Array, Proxies, affinity, weights_of

Row = tuple[Any, ...]


def averaging(proxies: Proxies) -> list[Row]:
    """Return the rows of sensitivity_averaging.csv."""
    spec, params = proxies.spec, proxies.spec["params"]
    lengths = {name: about for name, about in spec["variants"].items()
               if about["factor"] in (None, "proxy_steps")}  # fmt: skip
    omegas = {name: np.array([affinity(proxies.own[name, seed], params) for seed in about["seeds"]])
              for name, about in lengths.items()}  # fmt: skip
    longest = omegas[max(lengths, key=lambda name: lengths[name]["steps"])]
    best = np.mean([weights_of(x, params) for x in longest], axis=0)
    rows: list[Row] = []
    for name in sorted(lengths, key=lambda name: lengths[name]["steps"]):
        about, omega = lengths[name], omegas[name]
        rows += _of_length(about["steps"], omega, best, params, spec["windows"])
        if kept := [proxies.earlier[name, seed] for seed in about["seeds"] if proxies.earlier[name, seed]]:
            last = [proxies.own[name, seed] for seed in about["seeds"]]
            means = [np.mean([*earlier, end], axis=0) for earlier, end in zip(kept, last, strict=True)]
            found = np.array([weights_of(affinity(x, params), params) for x in means])
            recipe = f"one proxy, embeddings of {len(kept[0]) + 1} checkpoints averaged"
            rows.append(_row(recipe, 1, about["steps"], spec["windows"], _sd(found), found.mean(axis=0), best,
                             "sd over seeds"))  # fmt: skip
    return rows + _of_windows(proxies, best)


def _of_length(steps: int, omega: Array, best: Array, params: Mapping[str, Any], windows: int) -> list[Row]:
    """Return the recipes with proxies of one length: one, and averages over all of its seeds."""
    singles = np.array([weights_of(x, params) for x in omega])
    mean, n = singles.mean(axis=0), len(singles)
    rows = [_row("one proxy", 1, steps, windows, _sd(singles), mean, best, "sd over seeds")]
    if n < 2:
        return rows

    averaged: list[tuple[str, Array, Callable[[Array], Array]]] = [
        ("weights", singles, lambda some: some.mean(axis=0)),
        ("affinities", omega, lambda some: weights_of(some.mean(axis=0), params)),
    ]
    for what, values, statistic in averaged:
        recipe = f"{what} of several proxies averaged"
        sd = jackknife_sd(statistic, values)
        rows.append(_row(recipe, n, steps, windows, sd, statistic(values), best, "jackknife"))
        if n >= 4:
            apart = float(np.mean(disjoint(statistic, values, n // 2)))
            shift = total_variation(statistic(values), best)
            rows.append((recipe, n // 2, steps, steps * (n // 2), windows, apart, shift, "disjoint groups"))
    return rows


def _of_windows(proxies: Proxies, best: Array) -> list[Row]:
    """Return one default proxy with other numbers of windows: every proxy with every draw of that number.

    The total of the components of variance is the spread of one user's weights. The last row leaves only the
    proxy's component at the default number: what no number of windows takes away.
    """
    spec, params = proxies.spec, proxies.spec["params"]
    steps, rows = spec["variants"]["default"]["steps"], []
    how, limit = "components of variance", None
    for count in spec["counts"]:
        draws = proxies.draws(count)
        if len(proxies.seeds) < 2 or len(draws) < 2:
            continue
        omegas = [[affinity(proxies.default(seed, windows=count, window_seed=draw), params) for draw in draws]
                  for seed in proxies.seeds]  # fmt: skip
        crossed = np.array([[weights_of(omega, params) for omega in row] for row in omegas])
        parts = {name: values[:-1] for name, values in variance_components(crossed).items()}
        sd, mean = np.sqrt(np.sum(list(parts.values()), axis=0)), crossed.mean(axis=(0, 1))
        rows.append(_row("one proxy", 1, steps, count, sd, mean, best, how))
        if count == spec["windows"]:
            limit = _row("one proxy, its own part", 1, steps, None, np.sqrt(parts["proxy"]), mean, best, how)
    return rows + ([limit] if limit else [])


def _sd(values: Array) -> Array | None:
    return values.std(axis=0, ddof=1) if len(values) > 1 else None


def _row(
    recipe: str,
    proxies: int,
    steps: int,
    windows: int | None,
    sd: Array | None,
    mean: Array,
    best: Array,
    how: str,
) -> Row:
    spread = None if sd is None else repetition(sd)
    return (recipe, proxies, steps, steps * proxies, windows, spread, total_variation(mean, best), how)
