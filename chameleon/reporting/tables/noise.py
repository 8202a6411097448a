"""How much seeds alone move perplexity, and the smallest difference that the comparison can see."""

from typing import Any

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, perplexities
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import mean_over_seeds, series, to_uniform
from chameleon.reporting.tables.parts import Table, empty, frame, number, seeds

COLUMNS = ("scenario method domain metric mean sd sd_percent paired_sd_percent half_width_percent "
           "seeds_for_1_percent n")  # fmt: skip


def noise(scenario: str, frames: Frames) -> Table:
    """Spread over seeds of each method alone and of its paired difference to uniform."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    methods = gaps.methods
    why = None if YARDSTICK in methods else f"{YARDSTICK} is not among its methods"
    if why is None and len(series(metrics, YARDSTICK, "mean", "mean_perplexity")) < 2:
        lost = len(gaps.lost(YARDSTICK))
        why = f"{YARDSTICK} has {gaps.over(gaps.planned - lost)}" if lost else "one seed shows no noise"
    if why is not None:
        return empty(COLUMNS, f"Noise over seeds in scenario `{scenario}`", why)
    rows, body = [], []
    for method in methods:
        if method in gaps.gone():
            body.append([method, *[gaps.word(method)] * 6])
        for domain, metric, _ in [c for c in perplexities(metrics) if c[1] != "mean_log_perplexity"]:
            one = mean_over_seeds(metrics, method, metric, domain)
            if one is None:
                continue
            paired = None if method == YARDSTICK else to_uniform(metrics, method, domain, metric)
            sd = None if paired is None else paired.sd
            row: dict[str, Any] = {
                "scenario": scenario, "method": method, "domain": domain, "metric": metric, "mean": one.mean,
                "sd": one.sd, "sd_percent": None if one.sd is None else 100 * one.sd / one.mean,
                "paired_sd_percent": sd, "half_width_percent": None if paired is None else paired.half_width,
                "seeds_for_1_percent": None if sd is None else stats.seeds_needed(sd, 1.0), "n": one.n,
            }  # fmt: skip
            rows.append(row)
            if domain == "mean":
                needed = "–" if sd is None else str(row["seeds_for_1_percent"] or "> 1000")
                shown = [number(row[c], 2) for c in COLUMNS.split()[4:9]]
                if paired is not None:
                    shown[3:] = [gaps.cell(text, paired.n, method) for text in shown[3:]]
                body.append([gaps.label(method), *shown, needed])
    header = ["method", "mean perplexity", "sd over seeds", "sd (%)", "sd of paired difference (%)",
              "resolution: half interval (%)", "seeds to see 1 %"]  # fmt: skip
    caption = (
        f"Noise over seeds of the mean test perplexity in scenario `{scenario}` (the csv has the domains "
        "too): spread of each method alone, spread of its paired relative difference to uniform, half the "
        "95 % interval of that difference (smaller differences stay undecided), and the seeds a paired "
        f"test would need to see a difference of 1 % four times out of five; {seeds(metrics, gaps)}."
    )
    csv = frame(rows, COLUMNS).astype({"seeds_for_1_percent": "Int64"})
    return Table(csv, caption, markdown(header, body))
