"""Few-shot scores as rows of metrics.csv. Pure; the collect job reads the file and calls `rows`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = tuple[str, str, str, str, int, str, str, float, str]

#: Scores and their units. Lower is better for bits per byte only.
SCORES = {
    "acc": "accuracy",
    "acc_stderr": "accuracy",
    "acc_norm": "accuracy",
    "acc_norm_stderr": "accuracy",
    "bits_per_byte": "bits/byte",
}


def rows(scores: Mapping[str, Any]) -> Iterator[Row]:
    """Yield (scenario, "fewshot", scale, method, seed, task or "mean", metric, value, unit).

    Per task and model: `chance` (accuracy of guessing), `constant` (accuracy of one and the same answer; only
    where all items have the same choices), `items`; per number of shots n `acc_{n}shot` and so on (`SCORES`),
    `truncated_{n}shot` (share of items whose prompt is cut) and `examples_seen_{n}shot`. Task `mean` is the
    unweighted mean over tasks (`items`: the sum; a standard error: that of the mean, tasks independent), for
    what every task has.

    Args:
        scores: what `fewshot.json` describes.
    """
    found = {(s["method"], s["seed"], s["task"], s["shots"]): s for s in scores["scores"]}
    scored = {(method, seed) for method, seed, *_ in found}
    for method in scores["methods"]:
        for seed in scores["seeds"]:
            if (method, seed) not in scored:  # of a partial report
                continue
            head = (scores["scenario"], "fewshot", scores["scale"], method, seed)
            lists: dict[tuple[str, str], list[float]] = {}
            for task in scores["order"]:
                by_shots = [(n, found[method, seed, task, n]) for n in scores["shots"]]
                for metric, value, unit in _of_task(scores["tasks"][task], by_shots):
                    yield (*head, task, metric, value, unit)
                    lists.setdefault((metric, unit), []).append(value)
            for (metric, unit), values in lists.items():
                if len(values) == len(scores["order"]):
                    yield (*head, "mean", metric, _combine(metric, values), unit)


def _of_task(
    facts: Mapping[str, Any], by_shots: Sequence[tuple[int, Mapping[str, Any]]]
) -> Iterator[tuple[str, float, str]]:
    yield "items", facts["items"], "items"
    yield "chance", facts["chance"], "accuracy"
    if facts["constant"] is not None:
        yield "constant", facts["constant"], "accuracy"
    for shots, scores in by_shots:
        for metric, unit in SCORES.items():
            if scores[metric] is not None:
                yield f"{metric}_{shots}shot", scores[metric], unit
        prompts = facts["prompts"][str(shots)]
        yield f"truncated_{shots}shot", prompts["truncated"], "share"
        yield f"examples_seen_{shots}shot", prompts["examples_seen"], "examples"


def _combine(metric: str, values: Sequence[float]) -> float:
    if metric == "items":
        return math.fsum(values)
    if "_stderr_" in metric:
        return round(math.sqrt(math.fsum(v**2 for v in values)) / len(values), 9)
    return round(math.fsum(values) / len(values), 9)
