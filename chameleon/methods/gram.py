"""RegMean's merging: every linear layer keeps, on each model's own text, what that model's layer gave there.

Jin et al., "Dataless Knowledge Fusion by Merging Weights of Language Models" (ICLR 2023, arXiv 2212.09849).
With X_i the rows that a layer takes in while model i reads its own text, and G_i = X_iᵀX_i / n_i,

    W(p) = (Σ_i p_i G_i)^-1 Σ_i p_i G_i W_i   minimises   Σ_i p_i ‖X_i W − X_i W_i‖² / n_i

for W as inputs x outputs. torch keeps outputs x inputs: all is transposed here. In float64; a merged model
takes one Cholesky factor per layer. Holds k (d_in² + d_in d_out) numbers per layer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.merging import State, average

if TYPE_CHECKING:
    from torch import Tensor, nn

#: A linear layer of transformers, by name: our own decoder has none, and does without that library.
CONV = "Conv1D"


def products(model: "nn.Module", read: Callable[[Any], Any]) -> dict[str, "Tensor"]:
    """Return G = XᵀX / n (d_in x d_in, float64) of every linear layer but the head, by its weight's name.

    Args:
        model: of any device.
        read: makes the model read the text. Layers that it does not reach are left out.
    """
    sums: dict[str, Tensor] = {}
    rows: dict[str, int] = {}

    def watch(name: str) -> Callable[..., None]:
        def add(_: Any, given: tuple["Tensor", ...]) -> None:
            # On the CPU: not every accelerator has float64.
            x = given[0].detach().flatten(0, -2).cpu().double()
            sums[name] = sums.get(name, 0.0) + x.T @ x
            rows[name] = rows.get(name, 0) + len(x)

        return add

    # As the model lists its parameters: a model of transformers has what is outside its blocks under `other.`
    names = {id(p): name for name, p in model.named_parameters() if not name.startswith("other.")}
    layers = [part for part in _linear(model) if id(part.weight) in names]
    hooks = [part.register_forward_pre_hook(watch(names[id(part.weight)])) for part in layers]
    try:
        read(model)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / rows[name] for name, total in sums.items()}


def turned(model: "nn.Module") -> set[str]:
    """Return the names of weights that are kept as inputs x outputs, as GPT-2's of transformers are."""
    inside = {id(part.weight) for part in _linear(model) if type(part).__name__ == CONV}
    return {name for name, p in model.named_parameters() if id(p) in inside}


def _linear(model: "nn.Module") -> list[Any]:
    import torch

    parts = model.modules()
    return [part for part in parts if isinstance(part, torch.nn.Linear) or type(part).__name__ == CONV]


class RegMean:
    """The merged parameters for any mixture of k models.

    Args:
        states: k mappings of the same names to tensors of the same shapes.
        grams: k mappings of linear weights' names to G_i; all other parameters are averaged.
        off_diagonal: factor on what is beside the diagonal of G_i, from 0 to 1.
        ridge: added to the diagonal of every G_i, in parts of the mean over all diagonals of the layer.
            Of every G_i, so that models that are alike merge to themselves, and one model alone to itself.
        turned: names of weights that are inputs x outputs.
    """

    def __init__(
        self,
        states: Sequence[State],
        grams: Sequence[Mapping[str, "Tensor"]],
        off_diagonal: float = 1.0,
        ridge: float = 0.0,
        turned: Collection[str] = (),
    ) -> None:
        import torch

        self._turned = turned
        self._rest = [{n: p for n, p in state.items() if n not in grams[0]} for state in states]
        self._formats = {name: states[0][name].dtype for name in grams[0]}
        self._left: dict[str, Tensor] = {}  # G̃_i, k x d_in x d_in
        self._right: dict[str, Tensor] = {}  # G̃_i W_i, k x d_in x d_out
        for name in grams[0]:
            g = torch.stack([one[name] for one in grams])
            diagonal = torch.diagonal(g, dim1=1, dim2=2)
            level = float(diagonal.mean())
            # A layer that was given nothing but zeros: the plain average.
            added = ridge * level if level > 0 else 1.0
            self._left[name] = off_diagonal * g + torch.diag_embed((1 - off_diagonal) * diagonal + added)
            matrices = torch.stack([state[name].detach().cpu().double() for state in states])
            self._right[name] = self._left[name] @ (matrices if name in turned else matrices.mT)

    def __call__(self, weights: np.ndarray) -> dict[str, "Tensor"]:
        """Return the parameters for p (k numbers that sum to one), in the models' formats."""
        import torch

        found = average(self._rest, weights)
        factors = torch.as_tensor(weights, dtype=torch.float64)
        for name, left in self._left.items():
            factor = torch.linalg.cholesky(torch.tensordot(factors, left, dims=1))
            right = torch.tensordot(factors, self._right[name], dims=1)
            matrix = torch.cholesky_solve(right, factor)
            found[name] = (matrix if name in self._turned else matrix.T).to(self._formats[name])
        return found
