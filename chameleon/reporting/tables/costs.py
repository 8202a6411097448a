"""Tables of what the weights cost: stage by stage beside the base run, and re-weighting beside retraining."""

import pandas as pd

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import Frames, first_seen, markdown, method_order
from chameleon.reporting.statistics.comparisons import BASE_STAGES
from chameleon.reporting.tables.parts import Table, amount, empty, frame, number, seeds

AMOUNTS = ["tokens", "flops", "seconds"]
#: Stages of the weights in the order in which they happen, with the name that people read.
STAGES = {
    "reference": "reference run", "proxy": "proxy", "embed": "embedding", "extra": "own runs",
    "swarm": "swarm", "weights": "solving", "validation": "validation in training",
}  # fmt: skip
#: The method that does again what `chameleon` keeps, against which re-weighting is measured.
RETRAINED = "chameleon_retrained"


def costs(scenario: str, frames: Frames) -> Table:
    """What each method cost, stage by stage, and its weights beside the base run."""
    table, gaps = frames["costs"], Gaps(frames)
    rows, body = [], []
    for method in method_order([*table["method"], *gaps.methods]):
        mine = table[table["method"] == method]
        n = mine["seed"].nunique()
        if not n:
            body.append([method, *[gaps.word(method)] * 10])
            continue
        stages = _per_stage(table, method)
        zero = pd.Series(0.0, index=AMOUNTS)
        weighting = sum((v for s, v in stages.items() if s not in BASE_STAGES), zero)
        base = stages.get("base", zero)
        tests = sum((stages[s] for s in ("evaluate", "fewshot") if s in stages), zero)
        total = weighting + base + tests
        for stage, spent in {**stages, "weighting": weighting, "total": total}.items():
            rows.append({"scenario": scenario, "method": method, "stage": stage, **spent.to_dict(),
                         "flops_per_base_flop": spent["flops"] / base["flops"] if base["flops"] else None,
                         "n": n, "device": "; ".join(sorted(set(mine["device"])))})  # fmt: skip
        ratio = number(100 * weighting["flops"] / base["flops"], 1) if base["flops"] else "–"
        spent_on = [amount(part[a], a) for part in (weighting, base) for a in AMOUNTS]
        body.append([gaps.label(method, n), *spent_on, ratio, _said(stages, weighting["flops"]),
                     *(amount(part["seconds"], "seconds") for part in (tests, total))])  # fmt: skip
    header = ["method", *(f"{part}: {a}" for part in ("weights", "base") for a in ("tokens", "FLOPs", "s")),
              "weights / base (% of FLOPs)", "weights: share of FLOPs by stage", "evaluation: s",
              "total: s"]  # fmt: skip
    devices = ", ".join(sorted(set(table["device"])))
    caption = (
        f"Cost per seed in scenario `{scenario}` of obtaining the weights (every run that the method needs: "
        "reference, proxies, swarms, embeddings, validation passes; each method charged in full for what "
        f"methods share) and of the base model trained with them: tokens, floating-point operations, "
        f"wall-clock seconds on {devices}; mean over seeds, {seeds(table, gaps)}."
    )
    csv = frame(rows, "scenario method stage tokens flops seconds flops_per_base_flop n device")
    return Table(csv, caption, markdown(header, body))


def transfer_cost(scenario: str, frames: Frames) -> Table:
    """FLOPs of new weights for the enlarged set of domains, stage by stage, beside retraining the proxy."""
    table, gaps = frames["costs"], Gaps(frames)
    names = "scenario method stage tokens flops seconds flops_per_retrained_flop n"
    methods = method_order(table["method"])
    spent = {m: {s: v for s, v in _per_stage(table, m).items() if s not in BASE_STAGES} for m in methods}
    totals = {m: sum(stages.values(), pd.Series(0.0, index=AMOUNTS)) for m, stages in spent.items()}
    if not any(total["flops"] for total in totals.values()):
        why = f"no method of it{' that has results' if gaps else ''} computes anything"
        return empty(names, f"Cost of re-weighting in scenario `{scenario}`", why)
    whole = totals[RETRAINED]["flops"] if RETRAINED in totals else 0.0
    used = {s for stages in spent.values() for s, v in stages.items() if v["flops"] or v["seconds"] >= 0.05}
    shown = [s for s in first_seen([*STAGES, *table["stage"]]) if s in used]
    rows, body = [], []
    for method in method_order([*methods, *gaps.methods]):
        n = table[table["method"] == method]["seed"].nunique()
        if not n:
            body.append([method, *[gaps.word(method)] * (len(shown) + 3)])
            continue
        for stage, value in {**spent[method], "weighting": totals[method]}.items():
            rows.append({"scenario": scenario, "method": method, "stage": stage, **value.to_dict(),
                         "flops_per_retrained_flop": value["flops"] / whole if whole else None,
                         "n": n})  # fmt: skip
        cells = [amount(spent[method][s]["flops"], "flops") if s in spent[method] else "–" for s in shown]
        spent_all = totals[method]["flops"]
        of_whole = gaps.word(RETRAINED)
        if whole:
            of_whole = number(100 * spent_all / whole, 1) if spent_all else "0"
        body.append([gaps.label(method, n), *cells, amount(totals[method]["flops"], "flops"), of_whole,
                     amount(totals[method]["seconds"], "seconds")])  # fmt: skip
    header = ["method", *(f"{STAGES.get(s, s)}: FLOPs" for s in shown), "all: FLOPs",
              f"all (% of {RETRAINED})", "all: s"]  # fmt: skip
    caption = (
        f"What new weights cost in scenario `{scenario}`, stage by stage: floating-point operations per seed "
        "of everything done again for the enlarged set of domains, beside the same formula with a retrained "
        "proxy and every method that must retrain; a dash: not done. `chameleon` keeps the proxy and the "
        "embeddings of the old domains, whose cost is not charged again here; mean over seeds, "
        f"{seeds(table, gaps)}."
    )
    return Table(frame(rows, names), caption, markdown(header, body))


def _per_stage(table: pd.DataFrame, method: str) -> dict[str, pd.Series]:
    """Return {stage: tokens, FLOPs and seconds per seed}."""
    mine = table[table["method"] == method]
    sums = mine.groupby("stage", sort=False)[AMOUNTS].sum() / max(mine["seed"].nunique(), 1)
    return {str(stage): sums.loc[stage] for stage in sums.index}


def _said(stages: dict[str, pd.Series], whole: float) -> str:
    """Return where the FLOPs of the weights went, largest first: `proxy 91 %, embedding 9 %`."""
    parts = {s: v["flops"] / whole for s, v in stages.items() if whole and s not in BASE_STAGES}
    largest = sorted(parts.items(), key=lambda item: -item[1])
    return ", ".join(f"{STAGES.get(s, s)} {100 * p:.0f} %" for s, p in largest if p >= 0.005) or "–"
