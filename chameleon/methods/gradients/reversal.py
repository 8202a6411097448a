"""What each domain's text did to a model, kept so that it can be taken back: `datamodel`'s objective.

The run trains on the ordinary mean loss of its batches. The blocks of one domain after the other go through
the model, so that a step's gradient is had by domain, g_D,t (its part of the mean over the batch: they sum to
the step's gradient), at the price of one forward and one backward pass over the batch. Added up under the
learning rate they are what the domain's text moved the model by, had every step been one of plain SGD:

    u_D = Σ_t η_t g_D,t,    θ_T + u_D: the model with domain D's steps taken back, to first order
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chameleon.mixing.types import StepInfo

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder


class Movements:
    """One proxy run.

    Args:
        domains: names of all domains of the batches.
    """

    def __init__(self, domains: Sequence[str]) -> None:
        self.extra_flops = 0.0
        self.names = tuple(sorted(domains))
        #: By domain, u_D of every parameter in the model's order, as far as this rank's blocks made it; none
        #: before a domain's first block.
        self._moved: dict[str, list[Tensor]] = {}

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the gradient of the batch's mean loss in `.grad`; see `chameleon.mixing.Objective`."""
        import torch

        from chameleon.training.distributed.ranks import here

        parameters, ranks = list(model.parameters()), here()
        total, device = 0.0, tokens.device.type
        mine = set(ranks.share(range(len(domains))))
        sums = [torch.zeros_like(p) for p in parameters]
        for name in sorted(set(domains)):
            at = torch.tensor([i for i, d in enumerate(domains) if d == name and i in mine])
            for rows in at.to(tokens.device).chunk(info.parts) if len(at) else ():
                loss = model.summed(tokens[rows], targets[rows]) / tokens.numel()
                with torch.autocast(device, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
                total += float(loss.detach())
            with torch.no_grad():
                own = self._moved.setdefault(name, [torch.zeros_like(p) for p in parameters])
                for parameter, moved, whole in zip(parameters, own, sums, strict=True):
                    if parameter.grad is not None:
                        moved.add_(parameter.grad, alpha=info.learning_rate)
                        whole.add_(parameter.grad)
                        parameter.grad = None
        ranks.sum_(sums)
        for parameter, whole in zip(parameters, sums, strict=True):
            parameter.grad = whole
        self.extra_flops += 4.0 * len(set(domains)) * sum(p.numel() for p in parameters)
        return float(ranks.summed(torch.tensor(total, dtype=torch.float64)))

    def _whole(self) -> "dict[str, list[Tensor]]":
        """Return what the domains did, summed over the ranks."""
        from chameleon.training.distributed.ranks import here

        return {name: [here().summed(u) for u in of] for name, of in self._moved.items()}

    def tensors(self, model: "Decoder") -> dict[str, "Tensor"]:
        """Return u_D of every domain and parameter, by `key`; zeros for one of which no block was drawn."""
        found, whole = {}, self._whole()
        for name in self.names:
            for at, (parameter, value) in enumerate(model.named_parameters()):
                moved = whole[name][at] if name in whole else value.detach() * 0
                found[key(name, parameter)] = moved.cpu().contiguous()
        return found

    def state(self) -> dict[str, Any]:
        """Return what the domains did so far and what was computed."""
        return {"moved": self._whole(), "extra_flops": self.extra_flops}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        from chameleon.training.device import pick_device
        from chameleon.training.distributed.ranks import here

        # The sum over ranks is the first one's part.
        part = int(here().main)
        self._moved = {name: [u.to(pick_device()) * part for u in of] for name, of in state["moved"].items()}
        self.extra_flops = float(state["extra_flops"])

    def outcome(self) -> dict[str, Any]:
        """Return nothing: what is left are tensors."""
        return {}


def key(domain: str, parameter: str) -> str:
    """Return the name under which a domain's u of a parameter is kept."""
    return f"{domain}/{parameter}"
