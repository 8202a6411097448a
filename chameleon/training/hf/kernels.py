"""Faster forms of a model's layers, where a package for them is installed and a GPU is in sight.

Liger's fused norms, rotations and gated units, in training and in inference. The loss stays ours, which makes
no logits of a whole batch either; flash attention is what torch's own attention takes on a GPU and needs no
package.
"""

import importlib.util
from typing import Any

import torch


def put_into(lm: Any) -> tuple[str, ...]:
    """Put kernels into a model of transformers, in place; return their packages' names, often none."""
    if not torch.cuda.is_available() or importlib.util.find_spec("liger_kernel") is None:
        return ()
    from liger_kernel.transformers import monkey_patch  # type: ignore[import-not-found]

    patch = monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN.get(lm.config.model_type)
    if patch is None:
        return ()
    patch(model=lm, cross_entropy=False, fused_linear_cross_entropy=False)
    return ("liger_kernel",)
