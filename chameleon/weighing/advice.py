"""What a user should know before trusting a mixture: a line each, only where it holds."""

from collections.abc import Mapping, Sequence

import numpy as np

from chameleon.mixture import Domain
from chameleon.mixture.epochs import epochs
from chameleon.mixture.settings import Weighed

#: Documents below which a domain is called small.
FEW_DOCUMENTS = 100
#: Weight from which one domain takes everything.
EVERYTHING = 0.9
#: Squared distance of two domains, as a share of the mean over pairs, below which they are called the same.
SAME = 0.01
#: Epochs from which on a warning is due.
MOST_EPOCHS = 4
#: Share of the mean score below which a domain counts as lying at the centroid.
AT_CENTROID = 0.05


def advice(
    domains: Sequence[str], known: Mapping[str, Domain], found: Weighed, until: float | None
) -> list[str]:
    """Return the warnings of a mixture.

    Args:
        domains: in the order of `found`.
        known: what is known of each.
        found: scores, weights and affinity.
        until: half-width that the intervals should have, if one was asked for.
    """
    said = []
    for name in domains:
        documents = known[name].documents
        if documents is not None and documents < FEW_DOCUMENTS:
            said.append(
                f"{name} has {documents} documents: its embedding is theirs, which the interval over windows "
                "does not know"
            )
    if len(domains) == 2:
        said.append("two domains have equal scores, whatever their text: each lies as far from their mean")
    said += _same(domains, found)
    top = int(np.argmax(found.weights))
    if len(domains) > 1 and found.weights[top] > EVERYTHING:
        lies = found.scores[top] < AT_CENTROID * found.scores.mean()
        why = "it lies at the centroid of the domains, where the score is near 0 and its inverse has no bound"
        said.append(
            f"{domains[top]} takes {found.weights[top]:.0%}"
            + (f": {why}" if lies else "")
            + "; a higher temperature (--temperature) or ridge gives the others more"
        )
    said += _unsure(domains, known, found, until)
    said += _scale(domains, found)
    return said


def _same(domains: Sequence[str], found: Weighed) -> list[str]:
    omega, said = found.affinity, []
    square = np.diag(omega)[:, None] + np.diag(omega)[None, :] - 2 * omega
    above = square[np.triu_indices(len(domains), 1)]
    if len(domains) < 3 or not above.any():
        return ["all domains are the same text to this model"] if len(domains) > 1 and not above.any() else []
    for i, first in enumerate(domains):
        for j in range(i + 1, len(domains)):
            if square[i, j] < SAME * above.mean():
                said.append(
                    f"{first} and {domains[j]} are nearly the same text to this model: each counts in full"
                )
    return said


def _unsure(
    domains: Sequence[str], known: Mapping[str, Domain], found: Weighed, until: float | None
) -> list[str]:
    ends = {name: (known[name].low, known[name].high) for name in domains}
    sure = {name: (a, b) for name, (a, b) in ends.items() if a is not None and b is not None}
    if len(sure) < len(domains):
        return ["no intervals: a domain has one window only"]
    said = []
    halves = [(b - a) / 2 for a, b in sure.values()]
    differences = np.abs(found.weights - 1 / len(domains))
    if len(domains) > 1 and max(halves) > differences.max():
        said.append(
            "the widest interval is wider than any weight's distance to uniform: more windows are needed"
        )
    if until is not None and max(halves) > until:
        name = domains[int(np.argmax(halves))]
        said.append(f"the interval of {name} is still ±{max(halves):.3f}, wider than --until {until:g}")
    return said


def _scale(domains: Sequence[str], found: Weighed) -> list[str]:
    """Warn where λ is so large or small beside the affinity that it decides alone, or not at all."""
    k, trace = len(domains), float(np.trace(found.affinity))
    if trace <= 0:
        return []
    share = k * found.ridge / trace
    if share > 1:
        return [
            f"kλ is {share:.3g} times the affinity's trace: scores follow the distance to the centroid alone"
        ]
    if share < 0.001:
        return [
            f"kλ is {share:.1g} of the affinity's trace: all scores come near 1/k and weights near uniform "
            "(--ridge of_trace=0.2 sets it beside the trace)"
        ]
    return []


def repeated(
    domains: Sequence[str], weights: Sequence[float], known: Mapping[str, Domain], budget: float
) -> list[str]:
    """Return a warning for every domain that a run of `budget` tokens would read more than four times.

    Four is where repeated text began to be worth less than fresh text in Muennighoff et al. (2023).
    """
    times = epochs(dict(zip(domains, weights, strict=True)), known, budget)
    return [
        f"{name} would be read {n:.1f} times in {budget:.3g} tokens (export --max-epochs caps it)"
        for name, n in times.items()
        if n is not None and n > MOST_EPOCHS
    ]
