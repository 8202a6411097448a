"""Figure of few-shot results: accuracy above guessing, bits per byte of the right answer against uniform."""

from matplotlib.figure import Figure

from chameleon.reporting.figures.grids import Cell, cell, heat
from chameleon.reporting.figures.style import seeds, statement, title
from chameleon.reporting.records.tidy import YARDSTICK, Frames, method_order, shots
from chameleon.reporting.statistics.comparisons import accuracy, beyond_guessing, guessing, to_uniform
from chameleon.reporting.statistics.stats import Estimate


def fewshot(scenario: str, frames: Frames) -> Figure:
    """Tables of coloured numbers, methods by tasks: one row per number of shots, one column per score."""
    metrics = frames["metrics"]
    bars = guessing(frames)
    numbers = shots(metrics)
    if not bars or not numbers:
        return statement(f"The models of scenario {scenario} were not tested on few-shot tasks.")
    methods = method_order(metrics[metrics["corpus"] == "fewshot"]["method"])
    others = [m for m in methods if m != YARDSTICK]
    figure = Figure(figsize=(1.9 + 1.25 * len(bars), (0.3 * len(methods) + 1.25) * len(numbers) + 0.9))
    panels = figure.subplots(len(numbers), 2, squeeze=False)
    last = len(bars) - 1
    for n, (left, right) in zip(numbers, panels, strict=True):
        found = [[accuracy(frames, m, task, "acc", n) for task in bars] for m in methods]
        above = [[_above(e, bar) for e, bar in zip(row, bars.values(), strict=True)] for row in found]
        heat(left, above, methods, list(bars), higher_is_better=True, rule_before=last)
        left.set_title(f"{n} shots: accuracy above guessing (points)", fontsize=10)
        name = f"bits_per_byte_{n}shot"
        bits = [[cell(to_uniform(metrics, m, task, name)) for task in bars] for m in others]
        if others:
            heat(right, bits, others, list(bars), decimals=3, rule_before=last)
        right.set_title(f"{n} shots: bits per byte against uniform", fontsize=10)
        left.set_ylabel("method")
        right.set_ylabel("method")
        left.set_xlabel("task")
        right.set_xlabel("task")
    title(figure, f"Few-shot, {scenario} ({seeds(metrics)}); blue: better; grey on white: undecided")
    return figure


def _above(estimate: Estimate | None, bar: tuple[float, float]) -> Cell:
    """Return an accuracy as points above guessing."""
    return None if estimate is None else (100 * (estimate.mean - bar[0]), beyond_guessing(estimate, bar))
