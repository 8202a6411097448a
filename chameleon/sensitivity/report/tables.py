"""Tables of the sensitivity study: what moves the weights how far, where their spread comes from, what helps.

Reads the study's tidy files; writes `tables/sensitivity_{summary,variance,averaging}.csv`, `.md` and
`.html`. The three together hold every number that advice on windows, steps and seeds needs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from chameleon.experiment.study_settings import FACTORS
from chameleon.reporting.records.tidy import first_seen, markdown
from chameleon.reporting.tables.parts import Table, number, write
from chameleon.sensitivity.catalogue import TABLES
from chameleon.sensitivity.files import read_all
from chameleon.sensitivity.report.advice import sentences

Spec = Mapping[str, Any]
Frames = dict[str, pd.DataFrame]
#: Columns of what a recipe costs, with their headings.
COSTS = {"proxies": "proxies", "steps": "steps each", "total_steps": "steps in all"}
COMPONENTS = {"proxy": "proxy", "windows": "windows", "both": "windows, differently for each proxy"}


def make_tables(spec: Spec, results: Path) -> None:
    """Write every table of the study.

    Raises:
        UserError: a tidy file is missing or malformed.
    """
    frames = read_all(results)
    for name in TABLES:
        write(results / "tables" / f"sensitivity_{name}", _BUILDERS[name](spec, frames))


def _summary(spec: Spec, frames: Frames) -> Table:
    """One number per factor and per setting: how far the weights are from those of the default setting."""
    found = frames["sensitivity_distances"]
    factors, settings = [], []
    for factor, title in FACTORS.items():
        mine = found[found["factor"] == factor]
        moved = mine[(mine["quantity"] == "to_default") & ~mine["default"]]
        if not moved.empty:
            far = moved.loc[moved["mean"].idxmax()]
            swept = first_seen(mine["setting"])
            factors.append([title, f"{swept[0]} to {swept[-1]}" if len(swept) > 2 else ", ".join(swept),
                            spec["defaults"][factor], far["setting"], _interval(far)])  # fmt: skip
        for setting in first_seen(mine["setting"]):
            by_quantity = {row["quantity"]: row for _, row in mine[mine["setting"] == setting].iterrows()}
            shown = f"**{setting}**" if setting == spec["defaults"][factor] else setting
            settings.append([title, shown, *(_interval(by_quantity.get(q)) for q in
                             ("to_default", "between_seeds", "between_draws", "to_uniform"))])  # fmt: skip
    pairs = found[found["factor"] == "seed"]
    between = [[row["setting"], f"{row['mean']:.3f}", f"{row['minimum']:.3f} to {row['maximum']:.3f}",
                f"{row['n']:.0f}"] for _, row in pairs.iterrows()]  # fmt: skip
    caption = (
        f"How far Chameleon's weights of scenario `{spec['scenario']}` move with each of its settings, "
        "everything else at the default: total variation distance (half the sum of absolute differences, "
        "the share of tokens that would go to other domains) to the same proxy's weights at the default "
        "setting, mean ± half the 95 % t interval over proxies. First the setting of each factor that "
        "moves them furthest, then all settings (default in bold) with the distance between two proxies' "
        "weights, between two draws of windows of one proxy, and to equal weights. Last the distance "
        "between weights of which only a seed differs."
    )
    body = [" ".join(sentences(spec, frames))]
    body.append(markdown(["factor", "swept", "default", "furthest at", "distance to default"], factors, 4))
    body.append(markdown(["factor", "setting", "to default", "between two proxies", "between two draws",
                          "to equal weights"], settings, 2))  # fmt: skip
    body.append(markdown(["what differs", "mean distance", "range", "pairs"], between))
    return Table(found, caption, "\n\n".join(body))


def _variance(spec: Spec, frames: Frames) -> Table:
    """Shares of the variance of the weights that the proxy's seed and the draw of windows bring."""
    found = frames["sensitivity_variance"]
    caption = (
        "Where the spread of the default setting's weights over seeds comes from: every proxy was given "
        "every draw of windows. Standard deviation of a domain's weight due to the proxy (initialisation "
        "and data order), to the draw, and to what a draw does to one proxy and not to another; in "
        "brackets the share of the variance. Last row: all domains pooled; estimates below zero are "
        "shown as 0."
    )
    if found.empty:
        return Table(found, caption, "One proxy or one draw shows no spread, so this table is empty.")
    body = []
    for domain in first_seen(found["domain"]):
        mine = found[found["domain"] == domain].set_index("component")
        cells = [f"{mine.loc[c, 'sd']:.4f} ({100 * mine.loc[c, 'share']:.0f} %)" for c in COMPONENTS]
        body.append([domain, *cells])
    pooled = found[found["domain"] == "all"].set_index("component")["repetition"]
    design = found.iloc[0]
    text = (
        f"{design['proxies']:.0f} proxies x {design['draws']:.0f} draws. Expected total variation distance "
        "between two sets of weights if only one of the three differed: "
        + ", ".join(f"{title} {pooled[c]:.3f}" for c, title in COMPONENTS.items())
        + "."
    )
    table = markdown(["domain", *COMPONENTS.values()], body)
    return Table(found, caption, f"{table}\n\n{text}")


def _averaging(spec: Spec, frames: Frames) -> Table:
    """What a user can do about the spread, beside what it costs."""
    found = frames["sensitivity_averaging"]
    body = [
        [row["recipe"], row["how"], *(f"{row[c]:.0f}" for c in COSTS),
         "all" if pd.isna(row["windows"]) else f"{row['windows']:.0f}", number(row["repetition"], 3),
         f"{row['shift']:.3f}"]
        for _, row in found.iterrows()
    ]  # fmt: skip
    caption = (
        "Ways to get weights, what they cost in proxy steps, and what they are worth. Repetition: "
        "expected total variation distance between the weights of two users who follow the recipe with "
        "other seeds (smaller is better). Shift: distance of the recipe's mean weights to those of the "
        "longest proxies, the best known here. Repetition comes from the standard deviation over seeds, "
        "from the jackknife (an average over all seeds), from groups of seeds without common members, or "
        "from the components of variance."
    )
    header = ["recipe", "repetition from", *COSTS.values(), "windows", "repetition", "shift"]
    return Table(found, caption, markdown(header, body, 2))


_BUILDERS: dict[str, Callable[[Spec, Frames], Table]] = {
    "summary": _summary, "variance": _variance, "averaging": _averaging,
}  # fmt: skip


def _interval(row: pd.Series | None) -> str:
    if row is None:
        return "–"
    if pd.isna(row["low"]):
        return f"{row['mean']:.3f}"
    return f"{row['mean']:.3f} ± {(row['high'] - row['low']) / 2:.3f}"
