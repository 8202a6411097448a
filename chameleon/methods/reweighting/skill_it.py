"""Skill-It's numerics: the skills graph of one run per domain, the mixture from graph and losses, the rounds.

`baselines/skill_it.py` says where the losses come from. Pure functions of arrays whose rows and columns are
the domains in one order, the caller's sorted names; read and write nothing, import no torch.
"""

from collections.abc import Sequence

import numpy as np

#: Steps of the reference's shortest run; from here on a run is long and has the reference's rounds.
PAPER_STEPS = 5000
#: Rounds of a shorter run.
SHORT_ROUNDS = 6


def skills_graph(experts: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return A (k x k): the part of domain j's initial loss that training on domain i alone took away.

    A_ij = (start_j − experts_ij) / start_j, negative where training on i made j worse. As in the reference an
    entry of exactly one off the diagonal becomes one half.

    Args:
        experts: k x k losses (nats/token) at the end of the runs, row i of that on domain i.
        start: k losses before training (nats/token).

    Raises:
        ValueError: a loss before training that is not positive.
    """
    if not (start > 0).all():
        raise ValueError(f"losses before training must be positive, got {start.tolist()}")
    graph = (start - experts) / start
    return np.where((graph == 1) & ~np.eye(len(graph), dtype=bool), 0.5, graph)


def mixture(graph: np.ndarray, losses: Sequence[np.ndarray], eta: float) -> np.ndarray:
    """Return p_i ∝ exp(η Σ_τ Σ_j A_ij L_j(τ)); before the first losses, p_i ∝ exp(η Σ_j A_ij).

    Nothing of an earlier mixture is in it: every round starts from uniform weights again.

    Args:
        graph: A, k x k.
        losses: the window; k validation losses (nats/token) per entry.
        eta: η.
    """
    logits = eta * (graph @ (np.sum(losses, axis=0) if len(losses) else np.ones(len(graph))))
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def round_lengths(total_steps: int, k: int, update_steps: int | None) -> list[int]:
    """Return the steps of the rounds, whose sum is `total_steps`; what is left over goes to the last.

    Without `update_steps` a long run has rounds of 500 steps for up to three domains and of 400 for more, as
    the reference has, and a shorter one has SHORT_ROUNDS rounds. One domain needs one round.
    """
    if k == 1:
        return [total_steps]
    if update_steps is None:
        long = 500 if k <= 3 else 400
        update_steps = long if total_steps >= PAPER_STEPS else max(1, total_steps // SHORT_ROUNDS)
    count = max(1, total_steps // update_steps)
    return [update_steps] * (count - 1) + [total_steps - update_steps * (count - 1)]
