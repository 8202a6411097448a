"""Models made of others by merging their parameters: the proxies of DeMix, RegMean and DUET.

`baselines/demix.py` says which models are merged. Reads checkpoints; imports torch when first used.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder

#: A model's parameters by name.
State = Mapping[str, "Tensor"]


def average(states: Sequence[State], weights: np.ndarray) -> dict[str, "Tensor"]:
    """Return Σ_i p_i θ_i, parameter by parameter, in the parameters' format.

    Args:
        states: k mappings of the same names to tensors of the same shapes.
        weights: p, k numbers.
    """
    import torch

    factors = torch.as_tensor(weights, dtype=torch.float64)
    found = {}
    for name, first in states[0].items():
        stack = torch.stack([state[name].double() for state in states])
        found[name] = torch.tensordot(factors, stack, dims=1).to(first.dtype)
    return found


class Experts:
    """Models of one shape, and every weighted mean of them.

    Args:
        folders: k checkpoints.
        rule: takes the k models' parameters and returns a function from p to the merged ones; None: averages.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        rule: Callable[[Sequence[State]], Callable[[np.ndarray], State]] | None = None,
    ) -> None:
        from chameleon.training.hf.checkpoint import load

        models = [load(folder) for folder in folders]
        states = [{name: p.detach() for name, p in model.named_parameters()} for model in models]
        self._mean = partial(average, states) if rule is None else rule(states)
        self._merged = copy.deepcopy(models[0]).eval()

    def merged(self, weights: np.ndarray) -> "Decoder":
        """Return θ(p), in evaluation mode; the next call changes the same model.

        Args:
            weights: p, k numbers that sum to one.
        """
        import torch

        found = self._mean(weights)
        with torch.no_grad():
            for name, parameter in self._merged.named_parameters():
                parameter.copy_(found[name])
        return self._merged
