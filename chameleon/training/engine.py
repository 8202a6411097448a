"""How a model runs on this machine: precision and compilation, chosen once per job and recorded.

Nothing here changes what is computed, only in which form; what a form changes in the last digits is stated in
docs/PERFORMANCE.md. Without a compiler, or without bfloat16 units, the plain form runs instead.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from chameleon.training.model import Decoder

#: Below this width bfloat16 costs more in conversions than AMX's products win (benchmarks/training.py).
AMX_WIDTH = 128


@dataclass(frozen=True)
class Engine:
    """What was chosen: an entry of the run record.

    Attributes:
        precision: "fp32", or "bf16" for autocast.
        compiled: whether the training step's forward and backward pass are compiled.
        reason: why it is not compiled; empty if it is.
    """

    precision: str
    compiled: bool
    reason: str = ""

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the model runs."""
        if self.precision == "bf16":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def prepared(
        self, model: "Decoder", tokens: Tensor, by_block: bool = False
    ) -> tuple["Engine", Callable[[Tensor, Tensor], Tensor]]:
        """Return what the job really runs in, and the model's summed loss, compiled or not.

        Compiled code is kept in the suite's cache. A step is tried first: where the compiler fails (no Python
        headers, an old g++), the plain form runs, and the record says why.

        Args:
            tokens: of a training step's shape, blocks x (context + 1); any values.
            by_block: compile the model's blocks one by one, so that gradients of the last are there, and can
                be sent to other ranks, before those of the first.
        """
        if not self.compiled:
            return self, model.summed
        from chameleon.core.cache import cache_dir

        # Where the user has not said otherwise; torch's default is a temporary folder.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "inductor"))
        # Not the loss: the compiler's form of it took a fifth to a half of a step on CPUs.
        summed = model.summed
        if by_block:
            for block in model.blocks:
                block.compile(dynamic=False)
        else:
            summed = partial(model.summed, hidden=torch.compile(model.hidden, dynamic=False))
        try:
            with self.autocast(tokens.device):
                loss = summed(tokens[:, :-1], tokens[:, 1:])
            loss.backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            reason = f"compilation failed: {type(error).__name__}"
            said = str(error).strip().partition("\n")[0]
            print(f"warning: {reason} ({said}); training in the plain form", file=sys.stderr, flush=True)
            for block in model.blocks:
                block._compiled_call_impl = None
            return replace(self, compiled=False, reason=reason), model.summed
        finally:
            model.zero_grad(set_to_none=True)
        return self, summed


def has_bf16_units(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 in hardware: a GPU that has it, or a CPU with AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def precision(asked: str, device: torch.device, d_model: int) -> str:
    """Return "fp32" or "bf16" for what the config asks ("fp32", "bf16" or "auto")."""
    if asked != "auto":
        return asked
    wide = device.type == "cuda" or d_model >= AMX_WIDTH
    return "bf16" if wide and has_bf16_units(device) else "fp32"


def choose(asked: str, compile_: str, device: torch.device, d_model: int) -> Engine:
    """Return how a training job runs.

    Args:
        asked: `precision` of the recipe.
        compile_: `compile` of the recipe: "never", "auto" (on a GPU: on CPUs the compiled step is no faster,
            benchmarks/training.py), or "always" (wherever there is a compiler).
    """
    chosen = precision(asked, device, d_model)
    if compile_ == "never":
        return Engine(chosen, False, "compile: never")
    if compile_ == "auto" and device.type == "cpu":
        return Engine(chosen, False, "auto: not on a CPU")
    if device.type == "cpu" and not compiler():
        return Engine(chosen, False, "no C++ compiler found")
    return Engine(chosen, True)


def compiler() -> str | None:
    """Return the C++ compiler that torch would call: $CXX, else g++ or clang++; None without one."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return next((found for name in names if (found := shutil.which(name))), None)
