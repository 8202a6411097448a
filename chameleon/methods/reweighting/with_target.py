"""Gradients of a batch's domains, and in the same pass that of a target's blocks as one row more.

What the proxy runs of DoGE and In-Run Data Shapley share. Imports torch when a step asks for it: the workflow
reads methods while it builds its DAG.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chameleon.mixing.types import StepInfo, StepSize

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.methods.reweighting.domain_gradients import Captured
    from chameleon.methods.reweighting.separate_passes import Separate
    from chameleon.training.model import Decoder


def gradients_beside(
    model: "Decoder",
    tokens: "Tensor",
    targets: "Tensor",
    domains: Sequence[str],
    info: StepInfo,
    drawn: "tuple[Tensor, Tensor] | None",
) -> tuple[list[str], "Captured | Separate", float]:
    """Return the domains present, sorted, a gradient row for each, and the FLOPs of the target's pass.

    Args:
        model, tokens, targets, domains, info: as an objective's step gets them.
        drawn: tokens and targets of blocks beside the batch; their mean gradient is the last row.
    """
    import torch

    from chameleon.methods.reweighting.domain_gradients import captured
    from chameleon.training.model import flops_per_token

    present = sorted(set(domains))
    row = {name: i for i, name in enumerate(present)}
    owners, blocks, flops = [row[d] for d in domains], len(tokens), 0.0
    if drawn is not None:
        more, their_targets = drawn
        tokens, targets = torch.cat([tokens, more]), torch.cat([targets, their_targets])
        owners += [len(present)] * len(more)
        flops = flops_per_token(model.shape) * more.numel()
    at_once = math.ceil(blocks / info.parts) if info.parts > 1 else None
    return present, captured(model, tokens, targets, owners, at_once), flops


def bytes_of_groups(step: StepSize, groups: int) -> float:
    """Return what gradients of one matrix by group take (`chameleon.methods.gradients.last_layer`).

    Their sums, twice while they are multiplied, and X and D sorted by group.
    """
    sums = 2 * groups * 4 * step.width**2 * 4
    return float(sums + step.at_once * step.length * 5 * step.width * step.number)


def bytes_beside(step: StepSize, drawn: bool) -> float:
    """Return what the gradients, one a domain or block, the logits and the target's blocks take.

    See `chameleon.methods.reweighting.domain_gradients`: in parts, the gradients are held twice.

    Args:
        step: sizes.
        drawn: whether as many blocks as the batch has are drawn beside it.
    """
    rows = min(step.domains, step.blocks) + drawn
    blocks = step.at_once * (2 if drawn and step.parts == 1 else 1)
    groups = blocks if blocks <= 2 * rows + 2 else rows
    held = groups * step.number + (4 * rows if step.parts > 1 else 0)
    more = (blocks - step.at_once) * step.length * step.token_bytes
    logits = blocks * step.length * step.vocabulary * step.number
    return float(held * step.parameters + more + logits)
