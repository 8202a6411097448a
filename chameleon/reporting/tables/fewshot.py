"""Table of few-shot results against guessing and uniform, and the columns that other tables have of them."""

from typing import Any

import pandas as pd

from chameleon.reporting.records.missing import FEWSHOT, NONE, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, method_order, shots
from chameleon.reporting.statistics.comparisons import (
    accuracy,
    beyond_guessing,
    guessing,
    mean_over_seeds,
    series,
    to_uniform,
)
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.tables.parts import Cell, Table, against, empty, frame, number, plus_minus, seeds
from chameleon.reporting.tables.perplexity import ALONE

COLUMNS = ("scenario method task shots metric mean low high sd n unit chance always_one_answer items "
           "beyond_guessing against_uniform_mean against_uniform_low against_uniform_high "
           "excludes_zero")  # fmt: skip

#: Accuracies: metric -> how a quantity of the csv begins, and how a heading ends.
ACCURACIES = {"acc": ("accuracy", ""), "acc_norm": ("accuracy_normalised", ", normalised by length")}


def fewshot(scenario: str, frames: Frames) -> Table:
    """Per task and number of shots: accuracy, normalised accuracy, bits per byte of the right answer."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    bars = guessing(frames)
    what = f"Few-shot results of scenario `{scenario}`"
    if not bars or not shots(metrics):
        lost = any(gaps.lost(method, FEWSHOT) for method in gaps.methods)
        why = "all scores are missing" if lost else "its models were not tested on few-shot tasks"
        return empty(COLUMNS, what, why)
    scored = method_order(metrics[metrics["corpus"] == "fewshot"]["method"])
    items = {t: int(max(series(metrics, m, t, "items").values(), default=0))
             for t in bars if t != "mean" for m in scored[:1]}  # fmt: skip
    methods = gaps.methods if gaps else scored
    rows: list[dict[str, Any]] = []
    blocks = []
    for n in shots(metrics):
        for metric, name in (("acc", "accuracy"), ("acc_norm", "accuracy normalised by length")):
            body = [["guessing", *(number(100 * bar[0], 1) for bar in bars.values())]]
            if any(bar[1] > bar[0] for bar in bars.values()):
                body.append(
                    ["always one answer", *(number(100 * b, 1) if b > g else "–" for g, b in bars.values())]
                )
            for method in methods:
                cells = [gaps.label(method, part=FEWSHOT)]
                for task, bar in bars.items():
                    estimate = accuracy(frames, method, task, metric, n)
                    cells.append(_accuracy_cell(estimate, bar, gaps.word(method, FEWSHOT)))
                    if estimate is not None:
                        rows.append({**_row(scenario, frames, method, task, n, metric, estimate),
                                     "unit": "accuracy", "chance": bar[0], "always_one_answer": bar[1],
                                     "items": items.get(task),
                                     "beyond_guessing": beyond_guessing(estimate, bar)})  # fmt: skip
                body.append(cells)
            blocks += [f"**{n} shots: {name}, %**", markdown([f"{n} shots", *bars], body)]
        body = []
        for method in methods:
            cells = [gaps.label(method, part=FEWSHOT)]
            for task in bars:
                estimate = mean_over_seeds(metrics, method, f"bits_per_byte_{n}shot", task)
                if estimate is None:
                    cells.append(gaps.word(method, FEWSHOT))
                    continue
                row = _row(scenario, frames, method, task, n, "bits_per_byte", estimate)
                rows.append({**row, "unit": "bits/byte", "items": items.get(task)})
                apart = to_uniform(metrics, method, task, f"bits_per_byte_{n}shot")
                if method == YARDSTICK or (apart is None and YARDSTICK not in methods):
                    cells.append(plus_minus(estimate, 3))
                else:
                    cells.append(against(apart, 3, gaps, method, FEWSHOT))
            body.append(cells)
        blocks += [f"**{n} shots: bits per byte of the right answer ({YARDSTICK} as measured, others as "
                   "difference to it, paired by seed; lower is better)**",
                   markdown([f"{n} shots", *bars], body)]  # fmt: skip
    counts = ", ".join(f"{t} {items[t]:,}" for t in items if items[t])
    caption = (
        f"{what}: accuracy in percent with a 95 % interval for other seeds and other test items together, "
        "and bits per byte of the right answer, since models of this size sit near chance; "
        f"{seeds(metrics, gaps)}; items: {counts or 'not recorded'}."
    )
    notes = (
        "Accuracies in brackets cannot be told from guessing or from always giving one answer (first rows); "
        "bold ones are better than both, or worse than guessing. Bits per byte is bold where the interval "
        "over seeds of the paired difference to uniform excludes zero. The mean over tasks is unweighted. "
        f"Nothing is corrected for the number of cells: {ALONE}."
    )
    return Table(frame(rows, COLUMNS), caption, "\n\n".join([*blocks, notes]))


def percent(estimate: Estimate | None, missing: str = NONE) -> str:
    """Return an accuracy in percent with its interval; `missing` stands where there is none."""
    if estimate is None or estimate.half_width is None:
        return missing if estimate is None else number(100 * estimate.mean, 1)
    return f"{100 * estimate.mean:.1f} ± {100 * estimate.half_width:.1f}"


def _accuracy_cell(estimate: Estimate | None, bar: tuple[float, float], missing: str) -> str:
    if estimate is None:
        return missing
    text = percent(estimate)
    return f"**{text}**" if beyond_guessing(estimate, bar) else f"({text})"


def _row(
    scenario: str, frames: Frames, method: str, task: str, n: int, metric: str, estimate: Estimate
) -> dict[str, Any]:
    own = method == YARDSTICK
    against = None if own else to_uniform(frames["metrics"], method, task, f"{metric}_{n}shot")
    row: dict[str, Any] = {
        "scenario": scenario, "method": method, "task": task, "shots": n, "metric": metric,
        **estimate._asdict(), "excludes_zero": bool(against and against.excludes_zero),
    }  # fmt: skip
    for end in ("mean", "low", "high"):
        row[f"against_uniform_{end}"] = None if against is None else getattr(against, end)
    return row


def scores_missing(method: str, gaps: Gaps) -> list[Cell]:
    """Return the one few-shot cell of a scenario without any scores; no cell if none were planned."""
    if not any(gaps.lost(m, FEWSHOT) for m in gaps.methods):
        return []
    return [Cell("few-shot accuracy (%)", "accuracy", None, "accuracy", gaps.word(method, part=FEWSHOT))]


def accuracy_cell(frames: Frames, method: str, metric: str, n: int, gaps: Gaps) -> Cell:
    """Return the mean accuracy over tasks at n shots, in percent, with its interval for seeds and items.

    Args:
        frames: tidy frames of the scenario.
        method: whose.
        metric: `acc`, or `acc_norm` for the one normalised by the answers' lengths.
        n: number of shots.
        gaps: says what is missing.
    """
    found = accuracy(frames, method, "mean", metric, n)
    quantity, said = ACCURACIES[metric]
    text = gaps.cell(percent(found, gaps.word(method, part=FEWSHOT)), found and found.n, method)
    return Cell(f"accuracy, {n} shots{said} (%)", f"{quantity}_{n}shot", found, "accuracy", text)


def normalised(metrics: pd.DataFrame, n: int) -> bool:
    """Whether the mean over tasks at n shots has an accuracy normalised by length: every task has one."""
    rows = metrics[metrics["domain_or_task"] == "mean"]
    return f"acc_norm_{n}shot" in set(rows["metric"])


def by_guessing(frames: Frames, length: bool) -> str:
    """Return what guessing gives, for below a table with accuracies; empty without few-shot tasks.

    Args:
        frames: tidy frames of the scenario.
        length: whether the table has accuracies normalised by length.
    """
    chance = guessing(frames).get("mean", (None,))[0]
    if chance is None:
        return ""
    if not length:
        return f"guessing gives {100 * chance:.1f} %"
    return (
        f"guessing gives {100 * chance:.1f} % of raw accuracy, and the same of accuracy normalised by length "
        "only where an item's answers are equally long"
    )


def bits_cell(metrics: pd.DataFrame, method: str, n: int, gaps: Gaps) -> Cell:
    """Return the mean over tasks of the right answer's bits per byte at n shots."""
    estimate = mean_over_seeds(metrics, method, f"bits_per_byte_{n}shot")
    text = plus_minus(estimate, 3, missing=gaps.word(method, part=FEWSHOT))
    text = gaps.cell(text, estimate and estimate.n, method)
    return Cell(f"bits per byte, {n} shots", f"bits_per_byte_{n}shot", estimate, "bits/byte", text)
