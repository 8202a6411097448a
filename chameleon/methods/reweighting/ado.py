"""ADO's policy: a domain is drawn as fast as its loss is still falling, where its own data make it fall.

The two codes that there are of Adaptive Data Optimization (arXiv 2410.11820), under `VARIANTS`; how they
differ stands at `Policy.update`. `scaling_law` fits the laws, `baselines/ado.py` says what is played. Domains
are kept in the order of their names, so that the scenario's order cannot change a bit of the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chameleon.methods.reweighting.scaling_law import Fit, fitted
from chameleon.methods.reweighting.segments import Segments
from chameleon.methods.reweighting.weights import Trajectory
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import TrainingState

#: The authors' code, and that of the data loader Mixtera.
VARIANTS = ("authors", "mixtera")
#: Least exponent that the authors' code reckons slopes with.
LEAST_EXPONENT = 0.05


@dataclass(frozen=True)
class Settings:
    """What a run is played with.

    Attributes:
        variant: one of VARIANTS.
        fit: how laws are fitted.
        start: steps on the prior; then laws are fitted and shares move.
        refit: steps between two fits.
        every: steps of a segment.
        least: least share of a domain.
        policy_rate: part of the preference in what is played (the rest: its average over time).
        history_rate: part of a step in the history of what was drawn.
    """

    variant: str
    fit: Fit
    start: int
    refit: int
    every: int
    least: float
    policy_rate: float
    history_rate: float


def at_least(shares: np.ndarray, least: float) -> np.ndarray:
    """Return the shares raised to `least`, then divided by their sum."""
    raised = np.maximum(shares, least)
    return raised / raised.sum()


def slopes(laws: np.ndarray, blocks: float, variant: str) -> np.ndarray:
    """Return -dL/dn of every law (k x 3: a, ε, α) after so many blocks, nats/token a block."""
    reducible = np.exp(laws[:, 0] - laws[:, 2] * np.log(blocks))
    exponents = np.maximum(laws[:, 2], LEAST_EXPONENT) if variant == "authors" else laws[:, 2]
    return np.maximum(exponents * reducible / blocks, 0)


class Policy(Kept):
    """Shares that move, the average that they follow, and the history of what was drawn.

    Attributes:
        names: the domains, sorted.
        shares: k numbers on the simplex: what is played.
        average: the preference's mean over time, from the prior on.
        history: how much of late was drawn of every domain (h).
    """

    kept = ("shares", "average", "history")

    def __init__(self, prior: Mapping[str, float], settings: Settings) -> None:
        self.names, self.settings = tuple(sorted(prior)), settings
        self.prior = np.array([float(prior[d]) for d in self.names])
        self.shares, self.average, self.history = self.prior.copy(), self.prior.copy(), self.prior.copy()

    def drawn(self, shares: np.ndarray, steps: int) -> None:
        """Count `steps` steps whose batches held `shares` of every domain."""
        kept = (1 - self.settings.history_rate) ** steps
        self.history = kept * self.history + (1 - kept) * shares

    def update(self, laws: np.ndarray, step: int, blocks: float, steps: int) -> np.ndarray:
        """Return the shares for the next segment.

        The preference is ρ ∝ μ √h · (-dL/dn). The authors' code raises ρ to the least share and takes h from
        what was drawn before; Mixtera's raises what is played, and takes h from what was played.

        Args:
            laws: k x 3.
            step: steps done.
            blocks: of all domains that these held.
            steps: of the next segment.
        """
        own, rate = self.settings, self.settings.policy_rate
        merit = self.prior * np.sqrt(self.history) * slopes(laws, blocks, own.variant)
        total = merit.sum()
        if not (np.isfinite(total) and total > 0):
            return self.shares
        preference = merit / total
        if own.variant == "authors":
            preference = at_least(preference, own.least)
        shares = rate * preference + (1 - rate) * self.average
        self.shares = at_least(shares, own.least) if own.variant == "mixtera" else shares / shares.sum()
        if own.variant == "mixtera":
            self.drawn(self.shares, steps)
        # As many steps of an average over time, in which step t counts 1 / (t + 1).
        new = steps / (step + steps)
        self.average = new * preference + (1 - new) * self.average
        return self.shares


class AdoController(Kept):
    """Plays the prior until there are losses to fit laws to, then the policy's shares, segment by segment."""

    kept = ("policy", "segments", "losses", "laws", "fitted_at")

    def __init__(self, prior: Mapping[str, float], settings: Settings) -> None:
        self.settings, self.policy = settings, Policy(prior, settings)
        self.segments = Segments(self.policy.names, settings.start or settings.every, settings.every)
        #: Loss of every domain (nats/token), a row a step; one absent from a batch keeps its last.
        self.losses = Trajectory(self.policy.names)
        self.laws: np.ndarray | None = None
        self.fitted_at = -settings.refit

    def observe(self, step: int, losses: dict[str, float]) -> None:
        """Take note of a step's losses."""
        mean = sum(losses[d] for d in sorted(losses)) / len(losses)
        last = self.losses.rows[-1] if self.losses.rows else np.full(len(self.policy.names), mean)
        now = [losses.get(d, old) for d, old in zip(self.policy.names, last, strict=True)]
        self.losses.rows.append(np.array(now))

    def next_segment(self, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return the next segment's steps and weights."""
        return self.segments.next(state, self.policy.shares, lambda: self._moved(state))

    def _moved(self, state: TrainingState) -> np.ndarray:
        """Return the shares of the next segment."""
        own, policy, cut = self.settings, self.policy, self.segments
        if own.variant == "authors":
            total = sum(state.realised.values())
            policy.drawn(np.array([state.realised[d] / total for d in policy.names]), cut.played)
        if self.losses.rows and state.step - self.fitted_at >= own.refit:
            self._fit(state.step, cut.a_step)
        if self.laws is None:
            return policy.shares
        return policy.update(self.laws, state.step, cut.a_step * state.step, cut.length)

    def _fit(self, step: int, batch: float) -> None:
        """Fit every domain's law anew; where one cannot be fitted, all stay as they are."""
        laws = [fitted(curve, batch, self.settings.fit) for curve in np.array(self.losses.rows).T]
        found = [law for law in laws if law is not None]
        if len(found) == len(laws):
            self.laws, self.fitted_at = np.array(found), step
