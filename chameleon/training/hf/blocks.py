"""The blocks of any `transformers` model, and the state before one of them without running the rest."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from chameleon.core.errors import UserError


def find(model: nn.Module, count: int) -> tuple[str, nn.ModuleList] | None:
    """Return the name and the list of a model's blocks: the outermost list as long as it is deep, or None."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    return None


def of(model: Any) -> tuple[str, nn.ModuleList]:
    """Return what `find` does.

    Raises:
        UserError: there is no such list.
    """
    if (found := find(model, model.config.num_hidden_layers)) is None:
        said = f"a {type(model).__name__} has no list of {model.config.num_hidden_layers} blocks"
        raise UserError(f"{said}; take another model")
    return found


@contextlib.contextmanager
def watched(layers: Sequence[nn.Module], watch: Callable[[Tensor], None] | None) -> Iterator[None]:
    """Call `watch` with the input of each of the blocks as the passes within come to it; None: nothing."""

    def tell(module: nn.Module, args: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        assert watch is not None
        watch(_state(args, more))

    some = () if watch is None else layers
    handles = [layer.register_forward_pre_hook(tell, with_kwargs=True) for layer in some]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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
        raise _Reached(_state(args, more))

    handle = layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        run()
    except _Reached as reached:
        return reached.state
    finally:
        handle.remove()
    raise RuntimeError(f"block {layer} was never reached")


def _state(args: tuple[Any, ...], more: Mapping[str, Any]) -> Tensor:
    """Return the hidden states out of a block's arguments."""
    state: Tensor = args[0] if args else more["hidden_states"]
    return state


class _Reached(Exception):
    """The block whose input is asked for was reached."""

    def __init__(self, state: Tensor) -> None:
        super().__init__()
        self.state = state
