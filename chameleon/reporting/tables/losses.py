"""Tables of test losses: on domains that nothing saw, and how far a mean hangs on single domains."""

from collections.abc import Mapping
from typing import Any

from chameleon.reporting.records.missing import NONE, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, tested_domains, unseen_domains
from chameleon.reporting.statistics.comparisons import left_out, to_uniform
from chameleon.reporting.statistics.documents import Compared, TextError, mean_loss_to_uniform
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.tables.parts import (
    Table,
    against,
    empty,
    frame,
    marked,
    nothing_to_compare,
    number,
    over_seeds,
)
from chameleon.reporting.tables.perplexity import ALONE, DIFFERENCE, MORE, of_differences

#: Columns of the table of what the mean hangs on.
ROBUST = "scenario method quantity domain mean low high sd n unit excludes_zero"
DECIMALS = 4


def unseen(scenario: str, frames: Frames) -> Table:
    """Paired differences to uniform of the test loss on unseen domains, their mean first."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    what = f"Loss on unseen domains in scenario `{scenario}`"
    domains = unseen_domains(metrics)
    why = nothing_to_compare(gaps) or (None if domains else "no loss on unseen domains is there")
    if why is not None:
        return empty(DIFFERENCE, what, why)
    columns = [("mean", "mean_unseen_loss", "mean"), *((d, "unseen_loss", d) for d in domains)]
    caption = (
        f"{what}, as difference to uniform mixing in nats per token, paired by seed: domains that no base "
        "model, proxy or weight was made from, and their unweighted mean; negative is better than uniform; "
        f"{over_seeds(metrics, gaps)}; bold where the interval excludes zero ({ALONE}). {MORE}"
    )
    return of_differences(scenario, frames, columns, caption)


def robust(scenario: str, frames: Frames) -> Table:
    """Difference of the mean loss to uniform, of the worst domain, of the mean without any one domain."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    what = f"What the mean loss hangs on in scenario `{scenario}`"
    if (why := nothing_to_compare(gaps)) is not None:
        return empty(ROBUST, what, why)
    domains = tested_domains(metrics)
    compared = against_uniform(frames, gaps)
    rows, body = [], []
    for method in gaps.methods:
        if method == YARDSTICK:
            continue
        mean = compared.get(method)
        whole, text = (None, None) if mean is None else mean
        moved = {d: e for d in domains if (e := to_uniform(metrics, method, d, "loss")) is not None}
        others = left_out(metrics, method, domains)
        worst = dict([max(moved.items(), key=lambda item: item[1].mean)]) if moved else {}
        found = [("mean", {"mean": whole} if whole else {}), ("worst_domain", worst), ("left_out", others)]
        rows += [
            {"scenario": scenario, "method": method, "quantity": quantity, "domain": domain,
             **estimate._asdict(), "unit": "nats/token", "excludes_zero": estimate.excludes_zero}
            for quantity, estimates in found for domain, estimate in estimates.items()
        ]  # fmt: skip
        shown = [gaps.apart(method) if whole is None else NONE] * 2
        if text is not None and whole is not None:
            rows += _of_text(scenario, method, text, whole.n)
            shown = [number(text.error, DECIMALS), str(text.documents[text.thinnest])]
        body.append([gaps.label(method), against(whole, DECIMALS, gaps, method), *shown,
                     _worst(worst, gaps, method), _range(others, gaps, method)])  # fmt: skip
    caption = (
        f"{what}, in nats per token against uniform mixing, paired by seed: the difference of the mean over "
        "all domains, its error from the test text, that of the domain with the greatest loss in comparison, "
        "and between which values the difference of the mean lies when any one domain is left out; negative "
        "is better than uniform; "
        f"{over_seeds(metrics, gaps)}; bold where the interval excludes zero. The worst of several domains "
        f"is picked by its value, so its mark overstates; {ALONE}. The csv has the mean without each domain."
    )
    header = ["method", "mean over all domains", "error of the test text (nats/token)",
              "test documents of the thinnest domain", "worst domain",
              "mean with one domain left out"]  # fmt: skip
    return Table(frame(rows, ROBUST), caption, f"{markdown(header, body)}\n\n{_notes(compared)}")


def against_uniform(frames: Frames, gaps: Gaps) -> dict[str, Compared]:
    """Return {method: its mean loss against uniform's}, of the methods that share a seed with uniform."""
    found = {m: mean_loss_to_uniform(frames, m) for m in gaps.methods if m != YARDSTICK}
    return {method: one for method, one in found.items() if one is not None}


def covered(compared: Mapping[str, Compared], what: str) -> str:
    """Return which intervals of mean losses against uniform cover the test text; empty if there are none.

    Args:
        compared: as `against_uniform` returns it.
        what: how the table calls them.
    """
    both = [method for method, one in compared.items() if one.covers_text]
    alone = [method for method, one in compared.items() if one.has_interval and not one.covers_text]
    why = "their losses by document are not all there, or a domain has a single test document"
    if not both:
        return f"{what} covers other seeds only: {why}." if alone else ""
    but = f" (of {', '.join(alone)} other seeds only: {why})" if alone else ""
    return f"{what} covers other seeds and other test text{but}."


def _notes(compared: Mapping[str, Compared]) -> str:
    """Return what the columns on the test text are, for below the table."""
    said = [covered(compared, "The interval of the mean over all domains")]
    texts = [one.text for one in compared.values() if one.text is not None]
    if texts:
        thinnest = texts[0].thinnest
        said += [
            "Error of the test text: standard error of the difference over the documents that each domain is "
            "tested on, averaged over seeds; what other documents of the same domains would change. The "
            f"domain with the fewest is {thinnest} ({texts[0].documents[thinnest]})."
        ]
    return " ".join([*filter(None, said), "All other intervals are over seeds."])


def _of_text(scenario: str, method: str, text: TextError, n: int) -> list[dict[str, Any]]:
    """Return the rows of the csv on a method's test text, over n seeds."""
    found = [("text_error", "mean", text.error, "nats/token"),
             ("thinnest_domain", text.thinnest, text.documents[text.thinnest], "documents")]  # fmt: skip
    return [
        {"scenario": scenario, "method": method, "quantity": quantity, "domain": domain, "mean": value,
         "n": n, "unit": unit}
        for quantity, domain, value, unit in found if value is not None
    ]  # fmt: skip


def _worst(worst: dict[str, Estimate], gaps: Gaps, method: str) -> str:
    """Return the worst domain's difference and its name."""
    if not worst:
        return gaps.apart(method)
    ((domain, estimate),) = worst.items()
    return gaps.cell(f"{marked(estimate, DECIMALS)} ({domain})", estimate.n, method)


def _range(others: dict[str, Estimate], gaps: Gaps, method: str) -> str:
    """Return the least and the greatest mean without a domain, and without which."""
    if not others:
        return gaps.apart(method)
    ordered = sorted(others, key=lambda domain: others[domain].mean)
    ends = [f"{number(others[d].mean, DECIMALS, sign=True)} (without {d})" for d in (ordered[0], ordered[-1])]
    return gaps.cell(" to ".join(ends), others[ordered[0]].n, method)
