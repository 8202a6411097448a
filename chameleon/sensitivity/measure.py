"""Weights at every setting, and the study's numbers: distances, sources of variance, what averaging is worth.

Reads `sensitivity/embeddings/*/*.json`; writes the tidy files of `sensitivity.catalogue` into the results
folder. Numpy alone does the work.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chameleon.core.artifacts import write_csv
from chameleon.core.provenance import Recorder
from chameleon.experiment.study_settings import FACTORS
from chameleon.reporting.statistics.stats import mean_interval, total_variation
from chameleon.sensitivity.averaging import averaging
from chameleon.sensitivity.catalogue import COLUMNS
from chameleon.sensitivity.spread import pairwise, repetition, variance_components
from chameleon.sensitivity.weigh import Proxies, Weighed, affinity, all_settings

Spec = Mapping[str, Any]
Row = tuple[Any, ...]
#: Settings of the factor `seed`: what differs between two sets of weights.
SAME_WINDOWS, SAME_PROXY, NOTHING_SHARED = (
    "other proxy, same windows", "same proxy, other windows", "other proxy, other windows",
)  # fmt: skip


def sensitivity(spec: Spec, results: Path) -> None:
    """The job: weights at every setting and their distances, with its run record."""
    recorder = Recorder("sensitivity", spec, embedding_files(spec, results))
    measure(spec, results)
    recorder.outputs = [results / f"{name}.csv" for name in COLUMNS]
    recorder.write(results / "sensitivity" / "run.json")


def embedding_files(spec: Spec, results: Path) -> list[Path]:
    """Return the embedding files that the study's numbers come from."""
    folder = results / "sensitivity" / "embeddings"
    variants = spec["variants"].items()
    return [folder / variant / f"seed{seed}.json" for variant, about in variants for seed in about["seeds"]]


def measure(spec: Spec, results: Path) -> None:
    """Write the tidy files."""
    proxies = Proxies(spec, results / "sensitivity" / "embeddings")
    weighed = list(all_settings(proxies))
    rows: dict[str, list[Row]] = {
        "sensitivity": [
            (w.factor, w.setting, w.proxy_seed, w.window_seed, d, float(x))
            for w in weighed
            for d, x in zip(spec["domains"], w.weights, strict=True)
        ],
        "sensitivity_distances": [
            *distances(weighed, spec["defaults"], spec["scales"]),
            *seed_distances(weighed),
        ],
        "sensitivity_variance": list(variance(weighed, spec["domains"])),
        "sensitivity_averaging": averaging(proxies),
        "sensitivity_eigenvalues": list(eigenvalues(proxies)),
    }
    for name, columns in COLUMNS.items():
        write_csv(results / f"{name}.csv", pd.DataFrame(rows[name], columns=list(columns)))


def _summary(values: Sequence[float], independent: bool = True) -> Row:
    """Return mean, interval, smallest, largest and number; no interval where values share proxies."""
    found = mean_interval(values)
    low, high = (found.low, found.high) if independent else (None, None)
    return (found.mean, low, high, min(values), max(values), len(values))


def distances(
    weighed: Sequence[Weighed], defaults: Mapping[str, str], scales: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield the distances of every setting of every swept factor; sizes in the order of `scales`.

    to_default: to the same proxy's weights at the default setting, one value per proxy (the interval is over
    proxies); over other draws than the proxy's own where there are several. to_uniform: to equal weights.
    between_seeds: of every two proxies at this setting. between_draws: of every two draws of one proxy.
    """
    for factor in FACTORS:
        mine = [w for w in weighed if w.factor == factor]
        own = {w.proxy_seed: w.weights for w in mine
               if w.setting == defaults[factor] and w.proxy_seed == w.window_seed}  # fmt: skip
        for setting in dict.fromkeys(w.setting for w in sorted(mine, key=lambda w: order(w.setting, scales))):
            head = (factor, setting, setting == defaults[factor])
            here = [w for w in mine if w.setting == setting]
            by_proxy, by_draw = defaultdict(list), defaultdict(list)
            for w in here:
                by_proxy[w.proxy_seed].append(w)
                by_draw[w.window_seed if factor == "windows" else None].append(w.weights)
            moved = []
            for seed, found in by_proxy.items():
                # A draw's first windows are part of the default's embedding: not another choice of windows.
                apart = [w for w in found if factor != "windows" or w.window_seed != seed
                         or int(setting) > int(defaults[factor])]  # fmt: skip
                if apart and seed in own:
                    moved.append(_mean([total_variation(w.weights, own[seed]) for w in apart]))
            if moved:
                yield (*head, "to_default", *_summary(moved))
            k = len(here[0].weights)
            even = [_mean([total_variation(w.weights, np.full(k, 1 / k)) for w in found])
                    for found in by_proxy.values()]  # fmt: skip
            yield (*head, "to_uniform", *_summary(even))
            if pairs := [x for group in by_draw.values() for x in pairwise(group)]:
                yield (*head, "between_seeds", *_summary(pairs, independent=False))
            within = [pairwise([w.weights for w in found]) for found in by_proxy.values()]
            if all(within):
                yield (*head, "between_draws", *_summary([_mean(x) for x in within]))


def seed_distances(weighed: Sequence[Weighed]) -> Iterator[Row]:
    """Yield the distance between two sets of weights that differ in their proxy, their windows, or both."""
    crossed = [w for w in weighed if w.factor == "seed"]
    found: dict[str, list[float]] = defaultdict(list)
    for i, a in enumerate(crossed):
        for b in crossed[i + 1 :]:
            same_proxy, same_draw = a.proxy_seed == b.proxy_seed, a.window_seed == b.window_seed
            what = SAME_PROXY if same_proxy else SAME_WINDOWS if same_draw else NOTHING_SHARED
            found[what].append(total_variation(a.weights, b.weights))
    for what in (SAME_WINDOWS, SAME_PROXY, NOTHING_SHARED):
        if found[what]:
            yield ("seed", what, False, "between", *_summary(found[what], independent=False))


def crossed_weights(weighed: Sequence[Weighed]) -> np.ndarray:
    """Return proxies x draws x domains weights of the crossed design."""
    table: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for w in weighed:
        if w.factor == "seed":
            table[w.proxy_seed][w.window_seed] = w.weights
    return np.array([[row[draw] for draw in sorted(row)] for _, row in sorted(table.items())])


def variance(weighed: Sequence[Weighed], domains: Sequence[str]) -> Iterator[Row]:
    """Yield each component's standard deviation and share of the variance, per domain and for all of them.

    `all` pools the variances of the domains; its sd is the root of their mean, its repetition the expected
    distance of two sets of weights between which only this component differs.
    """
    crossed = crossed_weights(weighed)
    if min(crossed.shape[:2]) < 2:
        return
    found = variance_components(crossed)
    total = np.sum(list(found.values()), axis=0)
    for i, domain in enumerate([*domains, "all"]):
        for component, variances in found.items():
            share = float(variances[i] / total[i]) if total[i] > 0 else 0.0
            sd = float(np.sqrt(variances[i] / (len(domains) if domain == "all" else 1)))
            expected = repetition(np.sqrt(variances[:-1])) if domain == "all" else None
            yield (domain, component, sd, share, expected, *crossed.shape[:2])


def eigenvalues(proxies: Proxies) -> Iterator[Row]:
    """Yield the eigenvalues of every proxy's affinity, largest first, with kλ of the default ridge.

    The default proxies give one row per layer too: λ means something only beside the eigenvalues, and these
    grow with depth.
    """
    params = proxies.spec["params"]
    settings = [(about["factor"] or "default", about["setting"], seed, proxies.own[name, seed])
                for name, about in proxies.spec["variants"].items() for seed in about["seeds"]]  # fmt: skip
    settings += [("layer", str(layer), seed, proxies.default(seed, layer=layer))
                 for layer in proxies.spec["layers"] for seed in proxies.seeds]  # fmt: skip
    for factor, setting, seed, embedding in settings:
        values = np.linalg.eigvalsh(affinity(embedding, params))[::-1]
        for rank, value in enumerate(values, 1):
            yield (factor, setting, seed, rank, float(value), len(values) * params["ridge"])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def order(setting: str, scales: Sequence[str]) -> float:
    """Return a setting's sort key: a number's value, a scale's place."""
    try:
        return float(setting)
    except ValueError:
        return scales.index(setting)
