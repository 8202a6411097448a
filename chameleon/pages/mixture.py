"""`mixture_page`: one HTML file that shows a mixture, how sure it is, and what other settings would give.

What `chameleon weigh` and its kin write beside mix.json. Reads a mixture; the page computes weights for other
λ, T and modes itself, from the affinity (`static/krls.js`), and holds everything it needs.
"""

from pathlib import Path
from typing import Any

import numpy as np

from chameleon import krls
from chameleon.mixture import Mixture
from chameleon.mixture.settings import TEMPERATURES
from chameleon.pages import words
from chameleon.pages.document import fill, write
from chameleon.pages.domains import budget_field, domain_table
from chameleon.pages.geometry import by_similarity, flat_map

#: More domains than this have no heat map, no map and no what-if: k² numbers, and k³ steps in a browser.
MOST = 300
#: Weights and those computed again from the affinity differ by no more than this.
SAME = 1e-6
#: λ where a mixture does not say how it was made.
RIDGE = 10.0


def mixture_page(mixture: Mixture, embeddings: np.ndarray | None, out: Path) -> None:
    """Write the page of a mixture.

    Args:
        mixture: of k domains; what it does not know is left out of the page.
        embeddings: k x d in the order of its domains, for a mixture that carries no affinity; None: there
            are none.
        out: file to write.
    """
    k = len(mixture.domains)
    weights = dict(mixture.schedule.stages[-1].weights)
    about = [mixture.domain(name) for name in mixture.domains]
    over = {name: words.interval(about, name) for name in ("windows", "documents")}
    best = over["documents"] or over["windows"]
    affinity, why = _affinity(mixture, embeddings)
    data: dict[str, Any] = {
        "domains": list(mixture.domains),
        "weights": list(weights.values()),
        "natural": words.natural(about),
        "windows": over["windows"] and over["windows"]._asdict(),
        "documents": over["documents"] and over["documents"]._asdict(),
        "tokens": [domain.tokens for domain in about],
        "affinity": None,
    }
    comparison = words.absent(why)
    if affinity is not None:
        data |= _compared(mixture, affinity, data["weights"])
        comparison = fill("comparison.html", reproduces=_reproduces(mixture, data.pop("largest_gap")))
    many = "1 domain" if k == 1 else f"{k} domains"
    sections = [("#weights-title", "Weights")]
    sections += [("#whatif", "What if"), ("#alike", "Alike")] if affinity is not None else []
    sections += [("#domains", "Table")]
    confidence = (mixture.how or {}).get("confidence")
    table, columns = domain_table(mixture.domains, data, about, weights)
    body = fill(
        "mixture.html",
        k=many,
        headline=words.headline(weights, best),
        sure=words.sureness(weights, best, confidence),
        warnings=words.warnings(mixture.warnings),
        stages=words.stages(mixture),
        setting=words.setting(mixture),
        nav="".join(f'<a href="{to}">{name}</a>' for to, name in sections),
        legend=_legend(data, confidence),
        comparison=comparison,
        columns=columns,
        budget=budget_field(data["tokens"]),
        table=table,
    )
    write(Path(out), f"Mixture of {many}", body, data, "krls.js", "charts.js", "mixture.js", "whatif.js")


def _affinity(mixture: Mixture, embeddings: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """Return the k x k affinity, or None and why the page has none."""
    k = len(mixture.domains)
    left_out = "the map, the heat map and other settings are left out"
    if k == 1:
        return None, f"There is one domain: {left_out}."
    if k > MOST:
        return None, f"There are {k} domains, more than {MOST}: {left_out}."
    try:
        if mixture.affinity is not None:
            found = np.array(mixture.affinity, dtype=float)
        elif embeddings is not None:
            found = krls.affinity(embeddings, (mixture.how or {}).get("centre", True))
        else:
            return None, f"The mixture carries no affinity between its domains: {left_out}."
        if found.shape != (k, k):
            raise ValueError(f"it is {' x '.join(map(str, found.shape))} for {k} domains")
        krls.leverage_scores(found)
    except ValueError as error:
        return None, f"The affinity of the mixture cannot be used ({error}): {left_out}."
    return found, ""


def _compared(mixture: Mixture, affinity: np.ndarray, weights: list[float]) -> dict[str, Any]:
    """Return what the sections need that compare domains, and how far the weights are from the setting's."""
    how = mixture.how or {}
    mode = how.get("mode", "pretrain")
    setting = {
        "mode": mode,
        "ridge": float(how.get("ridge_used", RIDGE)),
        "temperature": float(how.get("temperature_used", TEMPERATURES[mode])),
    }
    normalise = bool(how.get("normalise", True))
    scores = krls.leverage_scores(affinity, setting["ridge"], normalise)
    rule = krls.pretrain_weights if mode == "pretrain" else krls.finetune_weights
    gap = np.abs(rule(scores, setting["temperature"]) - np.array(weights)).max()
    return {
        "affinity": affinity.tolist(),
        "setting": setting,
        "normalise": normalise,
        "temperatures": TEMPERATURES | {mode: setting["temperature"]},
        "order": by_similarity(affinity),
        "map": flat_map(affinity)._asdict(),
        "largest_gap": float(gap),
    }


def _reproduces(mixture: Mixture, gap: float) -> str:
    if mixture.how is None:
        return words.absent(
            "The mixture does not say how it was made: the sliders begin at Chameleon's defaults, not at it."
        )
    if gap <= SAME:
        return ""
    return words.absent(
        f"The mixture's weights are not those of its setting (up to {words.percent(gap)} apart): they were "
        "averaged, limited or edited since."
    )


def _legend(data: dict[str, Any], confidence: float | None) -> str:
    """Return what the chart of the weights shows, as plain text."""
    level = f"{100 * confidence:g} % intervals" if confidence else "intervals"
    whiskers = [f"{look}: over {name}" for name, look in (("windows", "thick"), ("documents", "thin"))
                if data[name]]  # fmt: skip
    parts = ["Bars: weight."]
    if whiskers:
        parts.append(f"Whiskers: {level} ({', '.join(whiskers)}).")
    parts.append("Dashed line: equal shares.")
    natural = "Diamonds: shares of the tokens at hand." if data["natural"] else (
        "Shares of the tokens at hand are not known."
    )  # fmt: skip
    return " ".join([*parts, natural])
