"""What tables, figures and verdicts compare: differences paired by seed, costs, curves, accuracies.

Functions of the tidy frames, between `chameleon.reporting.records.tidy` and everything that shows numbers;
`chameleon.reporting.statistics.ranking` has the ranks.
Negative is lower, and lower is better for every metric but accuracies.
"""

import weakref
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from chameleon.reporting.records.tidy import YARDSTICK, Frames, method_order, tasks
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.stats import Estimate

#: Stages that every method pays alike; all others are the price of the weights.
BASE_STAGES = ("base", "evaluate", "fewshot")

Index = dict[tuple[str, ...], dict[int, float]]
_INDEXES: dict[int, tuple[weakref.ref, Index]] = {}


def series(metrics: pd.DataFrame, method: str, domain: str, metric: str) -> dict[int, float]:
    """Return {seed: value} of one method, domain and metric; empty if there is none."""
    return dict(_index(metrics).get((method, domain, metric), {}))


def _index(metrics: pd.DataFrame) -> Index:
    """Return the values by (method, domain, metric) and seed, kept while the frame lives.

    Tables ask for thousands of series; filtering a frame takes milliseconds each time.
    """
    held = _INDEXES.get(id(metrics))
    if held is not None and held[0]() is metrics:
        return held[1]
    index: Index = {}
    columns = ("method", "domain_or_task", "metric", "seed", "value")
    for *key, seed, value in zip(*(metrics[c].tolist() for c in columns), strict=True):
        index.setdefault(tuple(key), {})[seed] = value
    if len(_INDEXES) > 16:
        _INDEXES.clear()
    _INDEXES[id(metrics)] = (weakref.ref(metrics), index)
    return index


def mean_over_seeds(metrics: pd.DataFrame, method: str, metric: str, domain: str = "mean") -> Estimate | None:
    """Return a metric's mean and interval over seeds, on a domain or task or their mean; None without any."""
    values = series(metrics, method, domain, metric)
    return stats.mean_interval(list(values.values())) if values else None


def paired(metrics: pd.DataFrame, a: str, b: str, domain: str, metric: str) -> dict[int, tuple[float, float]]:
    """Return {seed: values of two methods} of the seeds that both have, ascending."""
    one, two = (series(metrics, m, domain, metric) for m in (a, b))
    return {seed: (one[seed], two[seed]) for seed in sorted(set(one) & set(two))}


def is_relative(metric: str) -> bool:
    """Whether differences of a metric are given in percent: perplexities; all others in their own unit."""
    return metric.endswith("perplexity") and not metric.endswith("log_perplexity")


def differences(metrics: pd.DataFrame, a: str, b: str, domain: str, metric: str) -> dict[int, float]:
    """Return {seed: a − b} of the seeds that both have, in percent of b for perplexities (`is_relative`)."""
    relative = is_relative(metric)
    both = paired(metrics, a, b, domain, metric)
    return {seed: (100 / y if relative else 1.0) * (x - y) for seed, (x, y) in both.items()}


def difference(metrics: pd.DataFrame, a: str, b: str, domain: str, metric: str) -> Estimate | None:
    """Return the mean and t interval of a − b over the seeds that both have; None without any.

    Runs of one seed share initialisation and data order: pairing removes what these contribute to the noise.
    """
    both = paired(metrics, a, b, domain, metric)
    if not both:
        return None
    one, two = np.array(list(both.values())).T
    return stats.mean_interval(100 * (one - two) / two if is_relative(metric) else one - two)


def to_uniform(metrics: pd.DataFrame, method: str, domain: str, metric: str) -> Estimate | None:
    """Return a method's difference to uniform, paired over the seeds that both have.

    In percent of uniform's value for perplexities, in the metric's unit (nats/token for losses and
    log-perplexities) otherwise. None if they share no seed.
    """
    return difference(metrics, method, YARDSTICK, domain, metric)


def left_out(metrics: pd.DataFrame, method: str, domains: Sequence[str]) -> dict[str, Estimate]:
    """Return {domain: a method's difference to uniform in the mean test loss over all other domains}.

    In nats/token, paired over the seeds that both have. Empty for one domain, and without a seed in common.
    """
    moved = np.array(
        [list(differences(metrics, method, YARDSTICK, domain, "loss").values()) for domain in domains]
    )
    if len(domains) < 2 or not moved.size:
        return {}
    others = {domain: np.delete(moved, i, axis=0).mean(axis=0) for i, domain in enumerate(domains)}
    return {domain: stats.mean_interval(values.tolist()) for domain, values in others.items()}


def same_mixture(weights: pd.DataFrame) -> dict[str, str]:
    """Return {method: the first method, in reading order, whose mixture it has}, of methods that repeat one.

    Two methods have the same mixture where their weights agree at every step, in every seed that both have
    (one at least), to the rounding of how they were computed: 1e-9.
    """
    keys = ["seed", "step", "domain"]
    played = {m: part.set_index(keys)["weight"] for m, part in weights.groupby("method", sort=False)}
    found: dict[str, str] = {}
    methods = method_order(played)
    for i, method in enumerate(methods):
        for other in methods[:i]:
            if other not in found and _agree(played[method], played[other]):
                found[method] = other
                break
    return found


def _agree(one: pd.Series, other: pd.Series) -> bool:
    shared = set(one.index.get_level_values("seed")) & set(other.index.get_level_values("seed"))
    one, other = (x[x.index.get_level_values("seed").isin(shared)].sort_index() for x in (one, other))
    same = bool(shared) and one.index.equals(other.index)
    return same and np.allclose(one.to_numpy(), other.to_numpy(), rtol=0, atol=1e-9)


def seed_noise(metrics: pd.DataFrame, metric: str = "mean_log_perplexity") -> list[float]:
    """Return how far uniform's runs of two seeds lie apart in a mean over domains: |difference| of each pair.

    In the metric's unit (nats/token). What a comparison that is not paired by seed cannot see.
    """
    values = series(metrics, YARDSTICK, "mean", metric)
    return [abs(values[a] - values[b]) for a, b in combinations(sorted(values), 2)]


def wins(metrics: pd.DataFrame, method: str, domains: Sequence[str]) -> Estimate | None:
    """Return a method's win rate against uniform: the share of domains with a lower test perplexity.

    One share a seed (a tie counts half); the estimate is over seeds. None if they share no seed.
    """
    values = [list(paired(metrics, method, YARDSTICK, d, "perplexity").values()) for d in domains]
    if not values or not values[0] or len({len(of_seeds) for of_seeds in values}) > 1:
        return None
    mine, theirs = np.moveaxis(np.array(values), -1, 0)
    shares = [stats.share_below(column) for column in (mine - theirs).T]
    return stats.bounded(stats.mean_interval(shares), 0, 1)


def weighting_cost(costs: pd.DataFrame, method: str) -> float:
    """Return the FLOPs of a method's weights (mean over seeds): of every stage but those all pay alike."""
    return _spent(costs, method, ~costs["stage"].isin(BASE_STAGES).to_numpy(), "flops")


def base_cost(costs: pd.DataFrame, method: str, amount: str = "flops") -> float:
    """Return what training a method's base model cost per seed (mean over seeds)."""
    return _spent(costs, method, costs["stage"].to_numpy() == "base", amount)


def _spent(costs: pd.DataFrame, method: str, stages: np.ndarray, amount: str) -> float:
    """Return a method's costs in the rows of `stages`, per seed. Arrays: tables ask thousands of times."""
    mine = costs["method"].to_numpy() == method
    seeds = len(np.unique(costs["seed"].to_numpy()[mine]))
    return float(costs[amount].to_numpy()[mine & stages].sum()) / max(seeds, 1)


def apart(curves: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Return how a − b in loss (nats/token) moves during training, paired by seed.

    Returns:
        one row per seed that both have; columns (tokens, domain), of what both were tested at.
    """
    tables = []
    for method in (a, b):
        mine = curves[curves["method"] == method]
        tables.append(mine.pivot_table(index="seed", columns=["tokens", "domain"], values="loss"))
    return (tables[0] - tables[1]).dropna(how="all").dropna(axis=1)


def curve(curves: pd.DataFrame, a: str, b: str, domains: Sequence[str]) -> pd.DataFrame:
    """Return how a − b in mean log-perplexity over `domains` moves: seeds x training tokens, nats/token."""
    moved = apart(curves[curves["domain"].isin(domains)], a, b)
    return moved if moved.empty else moved.T.groupby(level="tokens").mean().T


def average_weights(frames: Frames) -> pd.DataFrame:
    """Return columns method, seed, domain, weight: the mean over training steps, for every method.

    Static weights are their own average. The last stage lasts until the last step of the learning curve, or,
    without curves, as long as the stage before it.
    """
    weights, curves = frames["weights"], frames["curves"]
    ends = curves.groupby(["method", "seed"])["step"].max()
    rows = []
    for (method, seed), part in weights.groupby(["method", "seed"], sort=False):
        starts = sorted(set(part["step"]))
        end = ends.get((method, seed), 0)
        if end <= starts[-1]:
            end = 2 * starts[-1] - starts[-2] if len(starts) > 1 else 1
        lengths = dict(zip(starts, np.diff([*starts, end]), strict=True))
        share = part["weight"] * part["step"].map(lengths) / (end - starts[0])
        means = share.groupby(part["domain"], sort=False).sum()
        rows += [{"method": method, "seed": seed, "domain": d, "weight": w} for d, w in means.items()]
    return pd.DataFrame(rows, columns=["method", "seed", "domain", "weight"])


def from_uniform(frames: Frames) -> dict[str, dict[int, float]]:
    """Return {method: {seed: total variation between its weights, averaged over training, and uniform}}."""
    found: dict[str, dict[int, float]] = {}
    for (method, seed), part in average_weights(frames).groupby(["method", "seed"]):
        weights = part.sort_values("domain")["weight"].to_numpy()
        distance = stats.total_variation(weights, np.full(len(weights), 1 / len(weights)))
        found.setdefault(str(method), {})[int(seed)] = distance
    return found


def accuracy(frames: Frames, method: str, task: str, metric: str, number_of_shots: int) -> Estimate | None:
    """Return the accuracy of a method with an interval for other seeds and other items; None without it."""
    values = series(frames["metrics"], method, task, f"{metric}_{number_of_shots}shot")
    errors = series(frames["metrics"], method, task, f"{metric}_stderr_{number_of_shots}shot")
    if not values:
        return None
    if not set(values) <= set(errors):
        return stats.mean_interval(list(values.values()))
    return stats.with_item_error(list(values.values()), [errors[s] for s in values])


def guessing(frames: Frames) -> dict[str, tuple[float, float]]:
    """Return {task: accuracy of guessing, best accuracy without reading the item}, the mean over tasks last.

    Where all items of a task have the same choices, always giving the more frequent answer beats guessing.
    """
    metrics = frames["metrics"]
    found = {}
    for task, chance in tasks(metrics).items():
        rows = metrics[(metrics["metric"] == "constant") & (metrics["domain_or_task"] == task)]
        found[task] = (chance, max([chance, *rows["value"]]))
    if found:
        chance, blind = (sum(pair[i] for pair in found.values()) / len(found) for i in (0, 1))
        found["mean"] = (chance, blind)
    return found


def beyond_guessing(estimate: Estimate, bar: tuple[float, float]) -> bool:
    """Whether an accuracy's interval lies above what needs no reading, or below guessing."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low > bar[1] or estimate.high < bar[0]
