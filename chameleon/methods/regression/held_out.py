"""How well a regression predicts runs that it has not seen, and whether that is better than chance."""

from dataclasses import dataclass

import numpy as np

from chameleon.methods.regression import models

#: Standard deviations of the rank correlation of unrelated losses, 1/√(n − 1), that a fit must be above.
CHANCE = 2.0
#: A correlation below this orders hardly any runs, however many there are.
LEAST = 0.2


@dataclass(frozen=True)
class HeldOut:
    """Predictions for runs that the regression did not see: what they are, predicted and true losses."""

    what: str
    predicted: np.ndarray
    true: np.ndarray

    @property
    def spearman(self) -> float | None:
        return models.spearman(self.predicted, self.true)

    @property
    def mse(self) -> float:
        return models.mean_squared_error(self.predicted, self.true)

    @property
    def doubt(self) -> str | None:
        """Return why the regression says nothing about unseen runs; None if it does."""
        rho, n = self.spearman, len(self.true)
        if rho is None:
            return "all true or all predicted losses are equal: there is no order to predict"
        chance = max(LEAST, CHANCE / np.sqrt(max(n - 1, 1)))
        if rho >= chance:
            return None
        if chance > 1:
            return f"{n} runs are too few to tell a prediction from chance"
        return f"spearman {rho:.2f} is no better than chance (up to {chance:.2f} with {n} runs)"
