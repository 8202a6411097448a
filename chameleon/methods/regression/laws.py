"""Laws from mixture to loss: a floor and an exponential of the weights, L(p) = c + exp(Σ_j t_j p_j).

The law of Data Mixing Laws (Ye et al., arXiv 2403.16952) and of Olmix (arXiv 2602.12237). The former's factor
in front of the exponential is left out: weights sum to one, so it only shifts every t_j. Pure functions of
arrays.
"""

from typing import Any

import numpy as np


class LogLinear:
    """The law, fitted robustly; the floor c is free.

    Fitted with the soft-L1 loss, which a few diverged runs do not drag along, from several floors below the
    lowest loss, each with t by least squares on log(L − c); the best end is taken.
    `importance` is |t_j, less their mean over the average mixture| times the weight's deviation, as shares.

    Args:
        mixtures: n x k.
        losses: n, of one target (nats/token).
    """

    name = "log_linear"
    #: Floors to start from: the lowest loss less this many times the range of the losses.
    STARTS = (0.05, 0.3, 1.0, 3.0)
    #: So many of them are followed, the nearest to the losses.
    TRIED = 4
    #: Loss of the residuals, and where it turns from a square to an absolute value, in their deviations.
    LOSS, TURN = "soft_l1", 0.3

    def __init__(self, mixtures: np.ndarray, losses: np.ndarray) -> None:
        from scipy.optimize import least_squares

        low, spread = float(losses.min()), float(np.ptp(losses))
        self._mean, self._spread = mixtures.mean(axis=0), mixtures.std(axis=0)
        if spread == 0:
            self.floor, self.exponents = self._flat(low, mixtures.shape[1])
        else:
            scale = self._scale(losses)

            def residuals(free: np.ndarray) -> np.ndarray:
                return (self._floor(free[0]) + _exp(mixtures @ free[1:]) - losses) / scale

            def jacobian(free: np.ndarray) -> np.ndarray:
                slope = _exp(mixtures @ free[1:])[:, None] * mixtures
                first = np.full((len(losses), 1), self._floor_slope(free[0]))
                return np.concatenate([first, slope], axis=1) / scale

            options: dict[str, Any] = {"loss": self.LOSS, "f_scale": self.TURN, "max_nfev": 300}
            starts = []
            for free in self._starts(low, spread):
                logs = np.log(losses - self._floor(free))
                starts.append(np.concatenate([[free], np.linalg.lstsq(mixtures, logs, rcond=None)[0]]))
            if len(starts) > self.TRIED:
                starts.sort(key=lambda start: float(np.abs(residuals(start)).sum()))
            ends = [least_squares(residuals, one, jacobian, **options) for one in starts[: self.TRIED]]
            best = min(ends, key=lambda end: float(end.cost))
            self.floor, self.exponents = self._floor(float(best.x[0])), best.x[1:]
        self.parameters = {"floor": self.floor}

    def _starts(self, low: float, spread: float) -> list[float]:
        return [low - start * spread for start in self.STARTS]

    def _floor(self, free: float) -> float:
        return free

    def _floor_slope(self, free: float) -> float:
        return 1.0

    def _scale(self, losses: np.ndarray) -> float:
        return float(losses.std())

    def _flat(self, low: float, k: int) -> tuple[float, np.ndarray]:
        """Return floor and exponents where all losses are alike."""
        return low - 1.0, np.zeros(k)

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        return self.floor + _exp(mixtures @ self.exponents)

    def importance(self) -> np.ndarray:
        return shares(np.abs(self.exponents - self._mean @ self.exponents) * self._spread)


class PositiveFloor(LogLinear):
    """The law as Olmix fits it: the floor is exp(c), and residuals cost a Huber loss that turns at 0.02.

    Its code's starts for c are kept (ten of -2 to 1.5), those whose floor is below the lowest loss.
    With each its t are by least squares, and the nearest three are followed; the code runs L-BFGS from 30
    random t for each. On noisy losses of known laws all starts that converge come to the same cost.
    """

    name = "olmix"
    LOSS, TURN = "huber", 0.02
    TRIED = 3

    def _starts(self, low: float, spread: float) -> list[float]:
        below = [float(c) for c in np.linspace(-2.0, 1.5, 10) if np.exp(c) < low]
        # Losses below e^-2 nats: one start under them.
        return below or [float(np.log(max(low, 1e-12) / 2))]

    def _floor(self, free: float) -> float:
        return float(_exp(np.array(free)))

    def _floor_slope(self, free: float) -> float:
        return self._floor(free)

    def _scale(self, losses: np.ndarray) -> float:
        return 1.0

    def _flat(self, low: float, k: int) -> tuple[float, np.ndarray]:
        return low / 2, np.full(k, np.log(low / 2) if low > 0 else -50.0)


def _exp(values: np.ndarray) -> np.ndarray:
    # A step of the fit may wander where exp overflows.
    return np.exp(np.clip(values, -50.0, 50.0))


def shares(values: np.ndarray) -> np.ndarray:
    """Return non-negative values over their sum; zeros where all are zero."""
    total = values.sum()
    return values / total if total > 0 else np.zeros_like(values)
