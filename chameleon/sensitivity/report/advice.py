"""What a user should do, in sentences made from the study's numbers: windows, steps, seeds.

Used by `sensitivity.tables`. The rules that turn numbers into "enough" are written into the sentences.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

Spec = Mapping[str, Any]
Frames = dict[str, pd.DataFrame]
#: Weights whose repetition is at most this count as settled: one token in twenty would move.
SETTLED = 0.05


def sentences(spec: Spec, frames: Frames) -> list[str]:
    """Return what the study says on the spread, windows, steps, seeds and checkpoints.

    What a study of few settings cannot say is left out.
    """
    found = frames["sensitivity_averaging"]
    default = float(spec["defaults"]["proxy_steps"])
    return [
        *_spread(frames["sensitivity_variance"]),
        *_windows(found, float(spec["defaults"]["windows"])),
        *_steps(found),
        *_seeds(found, default),
        *_checkpoints(found),
    ]


def _spread(parts: pd.DataFrame) -> list[str]:
    pooled = parts[parts["domain"] == "all"].set_index("component")["share"]
    if pooled.empty:
        return []
    return [
        f"Of the variance of the default's weights over seeds, {100 * pooled['proxy']:.0f} % is the "
        f"proxy's and {100 * (pooled['windows'] + pooled['both']):.0f} % is the draw of windows'."
    ]


def _windows(found: pd.DataFrame, default: float) -> list[str]:
    """Smallest number of windows that leaves the spread within a tenth of what the proxy alone brings."""
    mine = found[(found["how"] == "components of variance") & found["windows"].notna()]
    limit = found[(found["how"] == "components of variance") & found["windows"].isna()]
    if mine.empty:
        return []
    floor = float(limit["repetition"].iloc[0])
    listed = ", ".join(f"{r['repetition']:.3f} with {r['windows']:.0f}" for _, r in mine.iterrows())
    text = (
        f"Windows per domain: two users' weights are {listed} apart; {floor:.3f} is the proxy's part alone."
    )
    enough = mine[mine["repetition"] <= 1.1 * floor]["windows"]
    if len(enough):
        return [f"{text} {enough.min():.0f} windows come within a tenth of it."]
    return [f"{text} None of these numbers comes within a tenth of it."]


def _steps(found: pd.DataFrame) -> list[str]:
    mine = found[(found["recipe"] == "one proxy") & (found["how"] == "sd over seeds")].sort_values("steps")
    mine = mine[mine["repetition"].notna()]
    if len(mine) < 2:
        return []
    listed = "; ".join(
        f"{r['steps']:.0f} steps: {r['repetition']:.3f} between users, {r['shift']:.3f} from the longest"
        for _, r in mine.iterrows()
    )
    return [f"Proxy steps, one proxy each: {listed}."]


def _seeds(found: pd.DataFrame, default: float) -> list[str]:
    """Number of proxies whose averaged weights would count as settled; the spread falls as 1/√n."""
    one = found[(found["recipe"] == "one proxy") & (found["how"] == "sd over seeds")]
    lines = []
    for _, row in one.sort_values("steps").iterrows():
        if not math.isnan(row["repetition"]):
            needed = max(1, math.ceil((row["repetition"] / SETTLED) ** 2))
            line = f"{needed} of {row['steps']:.0f} steps ({needed * row['steps']:.0f} in all)"
            # What averaging cannot mend: users who agree, on other weights.
            if row["shift"] > row["repetition"]:
                line += f", but then on weights {row['shift']:.3f} from the longest's"
            lines.append(line)
    if not lines:
        return []
    text = [f"Proxies to average for a distance of {SETTLED} between two users, if the spread falls as one "
            f"over the root of their number: {', or '.join(lines)}."]  # fmt: skip
    several = found[(found["how"] == "jackknife") & (found["steps"] == default)].set_index("recipe")
    for what in ("weights", "affinities"):
        recipe = f"{what} of several proxies averaged"
        if recipe in several.index:
            row = several.loc[recipe]
            text.append(f"{what.capitalize()} of {row['proxies']:.0f} default proxies averaged: "
                        f"{row['repetition']:.3f} (jackknife).")  # fmt: skip
    return text


def _checkpoints(found: pd.DataFrame) -> list[str]:
    one = found[(found["recipe"] == "one proxy") & (found["how"] == "sd over seeds")].set_index("steps")
    mine = found[found["recipe"].str.contains("checkpoints averaged")]
    mine = mine[mine["repetition"].notna()]
    listed = "; ".join(
        f"{r['steps']:.0f} steps: {r['repetition']:.3f} instead of {one.loc[r['steps'], 'repetition']:.3f}"
        for _, r in mine.iterrows()
    )
    return [f"Embeddings averaged over a proxy's last checkpoints: {listed}."] if listed else []
