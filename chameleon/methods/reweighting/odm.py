"""Online Data Mixing's bandit: an arm per domain, rewarded by the training loss of what was drawn from it.

Both update rules of the published code (arXiv 2312.02406, `megatron/data/data_sampling_utils.py`), in the
form for batches that hold several domains. `baselines/odm.py` says which is which and how they are played.
Domains are kept in the order of their names, so that the scenario's order cannot change a bit of the result.
"""

import math
from collections.abc import Mapping

import numpy as np

from chameleon.methods.reweighting.segments import Segments
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import TrainingState

#: The published update rules.
RULES = ("smoothed_mean", "exp3")


def exploration(k: int, step: int) -> float:
    """Return ε_t = min(1/k, √(ln k / (k t))), the least share of an arm after `step` >= 1 steps."""
    return min(1 / k, math.sqrt(math.log(k) / (k * step)))


class Bandit(Kept):
    """The arms' rewards, and the shares that follow from them.

    Attributes:
        names: the domains, sorted.
        shares: k numbers on the simplex, in the order of `names`; the last that were computed.
        rewards: k estimates R.
    """

    kept = ("shares", "rewards", "floor", "floor_before")

    def __init__(self, start: Mapping[str, float], rule: str, smoothing: float, reward_scale: float) -> None:
        """
        Args:
            start: shares by domain, before the first update.
            rule: one of RULES.
            smoothing: part of the old estimate in a new one, for `smoothed_mean`.
            reward_scale: what losses are divided by, for `exp3`.
        """
        self.names = tuple(sorted(start))
        self.rule, self.smoothing, self.reward_scale = rule, smoothing, reward_scale
        k = len(self.names)
        self.shares = np.array([float(start[d]) for d in self.names])
        self.rewards = np.zeros(k)
        #: ε after the last step that was heard of, and after the one before.
        self.floor, self.floor_before = 1 / k, 1 / k

    def hear(self, step: int, losses: Mapping[str, float]) -> None:
        """Take the losses (nats/token) of the domains in the batch of step `step` (counted from 1)."""
        self.floor_before, self.floor = self.floor, exploration(len(self.names), step)
        for i, loss in ((self.names.index(d), loss) for d, loss in losses.items()):
            if self.rule == "exp3":
                self.rewards[i] += loss / self.reward_scale / self.shares[i]
            else:
                self.rewards[i] = self.smoothing * self.rewards[i] + (1 - self.smoothing) * math.exp(loss)

    def update(self) -> np.ndarray:
        """Return the new shares: (1 - k ε) of them follow the rewards, ε goes to every arm.

        `exp3`: in proportion to exp(ε R), with the ε of the step before. `smoothed_mean`: to R itself. Where
        nothing was heard they stay as they were.
        """
        if not self.rewards.any():
            return self.shares
        if self.rule == "exp3":
            exponent = self.floor_before * self.rewards
            merit = np.exp(exponent - exponent.max())
        else:
            merit = self.rewards
        shares = (1 - len(self.names) * self.floor) * merit / merit.sum() + self.floor
        self.shares = shares / shares.sum()
        return self.shares


class OdmController(Kept):
    """Plays the start for the warm-up and a segment, then the bandit's shares, renewed every segment."""

    kept = ("bandit", "segments")

    def __init__(self, bandit: Bandit, warmup: int, every: int) -> None:
        """
        Args:
            bandit: with the start as its shares.
            warmup: steps after which shares may move.
            every: steps of a segment.
        """
        self.bandit = bandit
        self.segments = Segments(bandit.names, warmup + every, every)

    def observe(self, step: int, losses: dict[str, float]) -> None:
        self.bandit.hear(step, losses)

    def next_segment(self, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return the next segment's steps and weights."""
        return self.segments.next(state, self.bandit.shares, self.bandit.update)
