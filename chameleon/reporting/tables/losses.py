"""Tables of test losses: on domains that nothing saw, and how far a mean hangs on single domains."""

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, tested_domains, unseen_domains
from chameleon.reporting.statistics.comparisons import left_out, to_uniform
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
    rows, body = [], []
    for method in gaps.methods:
        if method == YARDSTICK:
            continue
        whole = to_uniform(metrics, method, "mean", "mean_log_perplexity")
        moved = {d: e for d in domains if (e := to_uniform(metrics, method, d, "loss")) is not None}
        others = left_out(metrics, method, domains)
        worst = dict([max(moved.items(), key=lambda item: item[1].mean)]) if moved else {}
        found = [("mean", {"mean": whole} if whole else {}), ("worst_domain", worst), ("left_out", others)]
        rows += [
            {"scenario": scenario, "method": method, "quantity": quantity, "domain": domain,
             **estimate._asdict(), "unit": "nats/token", "excludes_zero": estimate.excludes_zero}
            for quantity, estimates in found for domain, estimate in estimates.items()
        ]  # fmt: skip
        body.append([gaps.label(method), against(whole, DECIMALS, gaps, method),
                     _worst(worst, gaps, method), _range(others, gaps, method)])  # fmt: skip
    caption = (
        f"{what}, in nats per token against uniform mixing, paired by seed: the difference of the mean over "
        "all domains, that of the domain with the greatest loss in comparison, and between which values the "
        "difference of the mean lies when any one domain is left out; negative is better than uniform; "
        f"{over_seeds(metrics, gaps)}; bold where the interval excludes zero. The worst of several domains "
        f"is picked by its value, so its mark overstates; {ALONE}. The csv has the mean without each domain."
    )
    header = ["method", "mean over all domains", "worst domain", "mean with one domain left out"]
    return Table(frame(rows, ROBUST), caption, markdown(header, body))


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
