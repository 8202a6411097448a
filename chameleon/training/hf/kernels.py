"""Faster forms of a model's layers, where a package for them is installed and a GPU is in sight.

Liger's fused norms, rotations and gated units, in training and in inference. The loss stays ours, which makes
no logits of a whole batch either; flash attention is what torch's own attention takes on a GPU and needs no
package.
"""

import importlib.util
from typing import Any

import torch

from chameleon.training.device import pick_device


def at_hand() -> bool:
    """Return whether there are a GPU and the package."""
    return torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None


def put_into(lm: Any) -> tuple[str, ...]:
    """Put kernels into a model of transformers, in place; return their packages' names, often none."""
    if not at_hand():
        return ()
    from liger_kernel.transformers import monkey_patch  # type: ignore[import-not-found]

    patch = monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN.get(lm.config.model_type)
    if patch is None:
        return ()
    patch(model=lm, cross_entropy=False, fused_linear_cross_entropy=False)
    # They run nowhere else, and some are put into the class: its other models are taken to the GPU here too.
    lm.to(pick_device())
    return ("liger_kernel",)
