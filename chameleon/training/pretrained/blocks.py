"""The blocks of any `transformers` model, and the state before one of them without running the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


def find(model: nn.Module, count: int) -> tuple[str, nn.ModuleList] | None:
    """Return the name and the list of a model's blocks: the outermost list as long as it is deep, or None."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    return None


def state_before(layers: Sequence[nn.Module], layer: int, run: Callable[[], Any]) -> Tensor:
    """Return the input of block `layer`, which is `hidden_states[layer]`; later blocks are not run.

    Args:
        layers: the blocks.
        layer: from 0 to one less than there are.
        run: calls the model.

    Raises:
        RuntimeError: the model does without that block.
    """

    def stop(module: nn.Module, args: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        raise _Reached(args[0] if args else more["hidden_states"])

    handle = layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        run()
    except _Reached as reached:
        return reached.state
    finally:
        handle.remove()
    raise RuntimeError(f"block {layer} was never reached")


class _Reached(Exception):
    """The block whose input is asked for was reached."""

    def __init__(self, state: Tensor) -> None:
        super().__init__()
        self.state = state
