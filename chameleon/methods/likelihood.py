"""The mixture of experts' likelihoods that fits a text best: MixMin's convex problem, on arrays.

    minimise  F(p) = −mean_n (1/L) log Σ_i p_i P_i(x_n)   over the simplex

P_i(x_n) is the probability that expert i gives to document n of L tokens. F is convex. Its minimum is found
by p_i ← p_i · r_i, r_i = mean_n P_i(x_n) / Σ_j p_j P_j(x_n) (expectation maximisation for the shares of a
mixture; no step makes F larger). As Σ_i p_i r_i = 1 throughout, F lies at most (max_i r_i − 1) / L above its
minimum: that gap says when to stop.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from chameleon.core.errors import UserError
from chameleon.mixing import RunResult

#: What an answer may leave to be gained (nats/token), and steps after which none was found.
GAP, STEPS = 1e-8, 200_000
#: Mixtures looked at together: bounds the memory.
PIECE = 4096


def loss(losses: np.ndarray, length: int, weights: np.ndarray) -> float:
    """Return F (nats/token) of a mixture.

    Args:
        losses: n x k, mean loss (nats/token) of each expert on each document.
        length: L, tokens of a document.
        weights: k, on the simplex; may hold zeros.
    """
    from scipy.special import logsumexp

    return float(-logsumexp(-length * losses, axis=1, b=weights).mean() / length)


def best(losses: np.ndarray, length: int) -> tuple[np.ndarray, float]:
    """Return the k weights of least F, and the gap (nats/token) that they leave.

    From uniform: experts that are alike keep equal weights.

    Args:
        losses, length: as for `loss`.

    Raises:
        ArithmeticError: no weights within GAP after STEPS steps.
    """
    # Of a document only the ratios between the experts count.
    likelihoods = np.exp(-length * (losses - losses.min(axis=1, keepdims=True)))
    weights = np.full(losses.shape[1], 1 / losses.shape[1])
    for _ in range(STEPS):
        ratios = (likelihoods / (likelihoods @ weights)[:, None]).mean(axis=0)
        left = (float(ratios.max()) - 1) / length
        if left <= GAP:
            return weights, max(0.0, left)
        weights = weights * ratios
        weights /= weights.sum()
    raise ArithmeticError(f"the best mixture of experts may lie {left:.2g} nats/token below the one found")


def of_mixtures(losses: np.ndarray, length: int, mixtures: np.ndarray) -> np.ndarray:
    """Return F (nats/token) of n mixtures (n x k), as `loss` does for one; a piece at a time."""
    least = losses.min(axis=1, keepdims=True)
    ratios, found = np.exp(-length * (losses - least)), np.empty(len(mixtures))
    for start in range(0, len(mixtures), PIECE):
        some = ratios @ mixtures[start : start + PIECE].T
        # Experts so unlike that a share's likelihood is not a number above zero any more.
        found[start : start + PIECE] = -np.log(np.maximum(some, np.finfo(float).tiny)).mean(axis=0) / length
    return found + float(least.mean())


def expert_blocks(
    runs: Mapping[str, RunResult], names: Sequence[str], targets: Sequence[str], where: str
) -> tuple[np.ndarray, int]:
    """Return the experts' losses by block (target domains x blocks x k), and the tokens of a block.

    Args:
        runs: one per domain, trained on nothing else, with the losses of every block.
        names: k domains.
        targets: domains whose validation text is looked at.
        where: the parameter that chose the runs, as the user would write it, and its value.

    Raises:
        UserError: a domain without an expert, or experts whose losses by block were not kept.
    """
    columns, length = [], 0
    for name in names:
        alone = [runs[key] for key in sorted(runs) if runs[key].weights.get(name) == 1]
        if not alone or not alone[0].blocks:
            what = "no run on" if not alone else "not kept the losses by block of the run on"
            raise UserError(f"{where} has {what} {name} alone; valid: a method such as single_domain")
        length = alone[0].block_tokens
        columns.append([alone[0].blocks[d] for d in targets])
    return np.moveaxis(np.array(columns, dtype=np.float64), 0, 2), length


def merged(losses: np.ndarray, times: int) -> np.ndarray:
    """Return the losses of documents `times` as long: neighbours in one domain, the rest left out.

    Args:
        losses: m x n x k, of n documents in each of m domains.
    """
    m, n, k = losses.shape
    whole = n // times * times
    joined: np.ndarray = losses[:, :whole].reshape(m, n // times, times, k).mean(axis=2)
    return joined
