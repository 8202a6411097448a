"""How well a regression predicts runs that it has not seen."""

from dataclasses import dataclass

import numpy as np

from chameleon.methods.regression import models


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
