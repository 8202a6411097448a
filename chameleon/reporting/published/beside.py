"""Shows what the papers print beside what this suite measured, never one mixed into the other.

Reads tidy frames (metrics, costs) and the published tables; used by the stage of tables. Pure functions.
"""

from typing import Any

import pandas as pd

from chameleon.published.tables import CONFIDENCE, table
from chameleon.reporting.published.rows import Frames, comparison
from chameleon.reporting.records.missing import FEWSHOT, RUN, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, first_seen, markdown, method_order


def published_table(frames: Frames, scenario: str) -> tuple[pd.DataFrame, str, str]:
    """Return (rows, caption, Markdown body) of the table `published`."""
    frame = comparison(frames, scenario)
    if frame.empty:
        why = (
            "Only the paper's SlimPajama experiment with seven domains has numbers that could be recovered. "
            "Its tables for The Pile after the transfer, for finetuning on Wiki40B and The Stack, and its "
            "ablations were not, and none is filled in here."
        )
        what = f"Numbers printed in the papers beside ours, scenario `{scenario}`"
        return frame, f"{what}: none, so this table is empty.", why
    caption = (
        f"Numbers printed in the papers beside ours, scenario `{scenario}`: relative difference of test "
        "perplexity to uniform mixing (percent, negative is better), cost of obtaining the weights, and "
        "few-shot accuracy. Printed and ours stand in columns of their own; ours with the 95 % t interval "
        "over seeds."
    )
    gaps = Gaps(frames)
    body = [_body_perplexity(frame, gaps), _body_mean(frame, gaps), _body_flops(frame, gaps),
            _body_accuracy(frame, gaps)]  # fmt: skip
    return frame, caption, "\n\n".join([*(b for b in body if b), _differences(frames)])


def _body_perplexity(frame: pd.DataFrame, gaps: Gaps) -> str:
    rows = frame[frame["quantity"] == "perplexity"]
    methods = [m for m in method_order(rows["method"]) if m != YARDSTICK]
    header = ["domain (SlimPajama's)", *(f"{m}: {side}" for m in methods for side in ("printed", "ours"))]
    body = []
    for item in first_seen(rows["item"]):
        here = rows[rows["item"] == item].set_index("method")
        cells = [f"{item} ({here['printed_item'].iloc[0]})"]
        for method in methods:
            cells += [_signed(here.loc[method, "printed_relative"]), _apart(here.loc[method], method, gaps)]
        body.append(cells)
    return (
        "Test perplexity, difference to uniform (%); printed for SlimPajama and 684M parameters:\n\n"
        + markdown(header, body)
    )


def _body_mean(frame: pd.DataFrame, gaps: Gaps) -> str:
    rows = frame[frame["quantity"] == "perplexity_160M"]
    body = [
        [r["method"], _signed(r["printed_relative"]), _apart(r, r["method"], gaps)]
        for _, r in rows.iterrows()
    ]
    header = ["method", "printed", "ours"]
    return (
        "Mean test perplexity, difference to uniform (%); printed in the Aioli paper for SlimPajama and 160M "
        f"parameters:\n\n{markdown(header, body)}"
    )


def _body_flops(frame: pd.DataFrame, gaps: Gaps) -> str:
    body = [
        [gaps.label(r["method"]), _power(r["printed"]), _ratio(r["printed_relative"]),
         gaps.word(r["method"]) if pd.isna(r["ours"]) else _power(r["ours"]), _ratio(r["ours_relative"])]
        for _, r in frame[frame["quantity"] == "weighting_flops"].iterrows()
    ]  # fmt: skip
    sides = [f"{side}: {what}" for side in ("printed", "ours") for what in ("FLOPs", "times Chameleon's")]
    return f"FLOPs spent to obtain the weights:\n\n{markdown(['method', *sides], body)}"


def _body_accuracy(frame: pd.DataFrame, gaps: Gaps) -> str:
    rows = frame[frame["quantity"] == "accuracy"]
    if rows.empty:
        printed = table("chameleon_downstream")
        means = ", ".join(f"{r[0]} {r[-1]}" for r in printed.rows)
        return (
            f"Downstream accuracy: no task of ours is among those printed ({printed.columns[-1]}: {means})."
        )
    body = [
        [r["item"], r["printed_item"], r["method"], f"{r['printed']:.1f}", _signed(r["printed_relative"], 1),
         gaps.word(r["method"], FEWSHOT) if pd.isna(r["ours"]) else f"{r['ours']:.1f}",
         _apart(r, r["method"], gaps, FEWSHOT)]
        for _, r in rows.iterrows()
    ]  # fmt: skip
    header = ["task", "printed as", "method", "printed: accuracy (%)", "printed: to uniform (points)",
              "ours: accuracy (%)", "ours: to uniform (points)"]  # fmt: skip
    return (
        "Downstream accuracy; the printed number of shots is not known, and the two averages are over "
        f"different tasks:\n\n{markdown(header, body, text_columns=3)}"
    )


def _differences(frames: Frames) -> str:
    metrics, costs = frames["metrics"], frames["costs"]
    scale = ", ".join(first_seen(metrics["scale"]))
    base = costs[costs["stage"] == "base"]
    tokens = f"{base['tokens'].mean() / 1e6:.2f}M" if len(base) else "an unrecorded number of"
    seeds = metrics["seed"].nunique()
    perplexity, aioli = table("chameleon_perplexity"), table("aioli_perplexity")
    return (
        f"What differs. Printed: {perplexity.printed_in} ({CONFIDENCE[perplexity.confidence]}); base models "
        "of 684M parameters on SlimPajama, GPT-2's vocabulary of 50,257 tokens; the number of training "
        f"tokens, of seeds and of shots is not known to us, and no interval is printed. {perplexity.notes} "
        f"{aioli.printed_in}: 160M parameters, 40,000 steps of 8 x 2048 tokens, three seeds. Ours: base "
        f"models of scale `{scale}`, {tokens} training tokens, {seeds} {'seed' if seeds == 1 else 'seeds'}, "
        "a vocabulary learnt from the corpus; where the domains are not SlimPajama's own they stand in for "
        "them (the corpora table says how each differs), so a domain's row sets two different texts side "
        "by side. Perplexities under different tokenizers do not compare in level; this is why only "
        "differences to uniform are shown. FLOPs: ours are counted for every run that a method needs, "
        "validation passes included; what the printed ones include is not stated beyond the proxies."
    )


def _signed(value: Any, decimals: int = 2) -> str:
    return "–" if pd.isna(value) else f"{value:+.{decimals}f}".replace("-", "−")


def _with_interval(row: Any) -> str:
    if pd.isna(row["ours_low"]):
        return _signed(row["ours_relative"])
    half = (row["ours_high"] - row["ours_low"]) / 2
    return f"{_signed(row['ours_relative'])} ± {half:.2f}"


def _apart(row: Any, method: str, gaps: Gaps, part: str = RUN) -> str:
    """Return our difference to uniform, with its number of seeds where some are missing."""
    if method == YARDSTICK or not gaps:
        return _with_interval(row)
    text = gaps.apart(method, part) if pd.isna(row["ours_relative"]) else _with_interval(row)
    return gaps.cell(text, gaps.pairs(method, part), method, gaps.planned, part)


def _power(value: Any) -> str:
    return "–" if pd.isna(value) else "0" if value == 0 else f"{value:.2e}"


def _ratio(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:.1f}"
