"""In-Run Data Shapley's proxy objective: what each domain's blocks did for a target, step by step.

The run trains on the ordinary mean loss of its batch. Beside it a target's blocks are drawn anew every step,
and domain D is credited with v_D += η_t (n_D / n) ⟨g_D, g_val⟩: g_D is the gradient of the mean loss of its
n_D of the batch's n blocks, g_val that of the target's. To first order the v_D of a step sum to the fall of
the target's loss under a step of SGD, w - η_t Σ_D (n_D / n) g_D. `baselines/in_run_shapley.py` says what the
run is; this is what it does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.reweighting.weights import Trajectory, by_name
from chameleon.methods.reweighting.with_target import gradients_beside
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import RunSpec, StepInfo

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder

#: What a domain is judged by: the mean value of its blocks, or the sum.
PER = ("token", "total")
#: How values become weights.
RULES = ("positive", "softmax")
#: The run that is watched.
RUN = "proxy"


def watched(domains: Sequence[str], steps: int | None) -> list[RunSpec]:
    """Return the proxy run that is watched, uniform over all domains; one domain leaves nothing to choose."""
    if len(domains) == 1:
        return []
    return [RunSpec(RUN, {d: 1 / len(domains) for d in domains}, steps, objective=True)]


def weights_of(values: np.ndarray, rule: str, temperature: float) -> np.ndarray:
    """Return k weights for k values; neither rule changes if all values are multiplied by a number above 0.

    A domain without a value (NaN: no block of it was seen) counts as the mean of the others. Where values say
    nothing (none is positive; all are the same) the weights are uniform.

    Args:
        values: positive where a domain helped.
        rule: "positive": max(v, 0) / Σ max(v, 0); "softmax": of v / (temperature · standard deviation).
        temperature: of the softmax.
    """
    k = len(values)
    known = ~np.isnan(values)
    v = np.where(known, values, values[known].mean() if known.any() else 0.0)
    if rule == "positive":
        raw = np.maximum(v, 0.0)
    else:
        spread = float(v.std())
        raw = np.exp((v - v.max()) / (temperature * spread)) if spread > 0 else np.ones(k)
    return raw / raw.sum() if raw.sum() > 0 else np.full(k, 1 / k)


class InRunShapley(Kept):
    """One proxy run.

    Args:
        domains: names of all domains of the batches.
        target: the domain whose loss is to fall; None: the mean over all domains.
        per, rule, temperature: what a domain is judged by, and how values become weights.
    """

    kept = ("sums", "_path", "extra_flops")

    def __init__(
        self,
        domains: Sequence[str],
        target: str | None = None,
        per: str = "token",
        rule: str = "positive",
        temperature: float = 1.0,
    ) -> None:
        self.extra_flops = 0.0
        self.names = tuple(sorted(domains))
        self.target, self.per, self.rule, self.temperature = target, per, rule, temperature
        #: By domain: Σ_t of a step's value, of its square, the steps that had a block, and blocks.
        self.sums = {name: np.zeros(len(self.names)) for name in ("value", "square", "steps", "blocks")}
        self._path = Trajectory(self.names)

    def take(self, products: np.ndarray, present: Sequence[str], counts: np.ndarray, eta: float) -> None:
        """Credit a step's domains.

        Args:
            products: inner products of the gradients of the domains present, and of the target's as last row.
            present: their names.
            counts: n_D.
            eta: η_t.
        """
        at = np.array([self.names.index(d) for d in present])
        values = eta * counts / counts.sum() * products[:-1, -1]
        for name, more in {"value": values, "square": values**2, "steps": 1.0, "blocks": counts}.items():
            self.sums[name][at] += more
        self._path.rows.append(weights_of(self.values(), self.rule, self.temperature))

    def values(self) -> np.ndarray:
        """Return the k values by which domains are judged, NaN without a block."""
        with np.errstate(invalid="ignore"):
            per_block = self.sums["value"] / self.sums["blocks"]
        return per_block if self.per == "token" else np.where(np.isnan(per_block), np.nan, self.sums["value"])

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the gradient of the batch's mean loss in `.grad`; see `chameleon.mixing.Objective`."""
        blocks = len(tokens)
        drawn = self._drawn(blocks, info)
        present, gradients, flops = gradients_beside(model, tokens, targets, domains, info, drawn)
        counts = np.array([list(domains).count(d) for d in present], dtype=np.float64)
        self.take(gradients.gram(), present, counts, info.learning_rate)
        gradients.combine(np.append(counts / blocks, 0.0))
        self.extra_flops += flops + gradients.extra_flops()
        return float(gradients.block_losses[:blocks].mean())

    def _drawn(self, blocks: int, info: StepInfo) -> "tuple[Tensor, Tensor]":
        """Return as many blocks of the target as the batch has; of one domain: its share of a larger draw."""
        if self.target is None:
            return info.draw(blocks)[:2]
        tokens, targets, domains = info.draw(blocks * len(self.names))
        mine = [i for i, d in enumerate(domains) if d == self.target]
        return tokens[mine], targets[mine]

    def outcome(self) -> dict[str, Any]:
        """Return, by domain: `weights`; `value`, by which it is judged, and `value_error`, what one standard
        error of it is if steps are independent; `total`, the sum over its blocks; `blocks`. And `trajectory`:
        the weights that the steps so far would have given.
        """
        n, total = self.sums["steps"], self.sums["value"]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(np.maximum(self.sums["square"] - total**2 / n, 0))
            error = error / self.sums["blocks"] if self.per == "token" else error
        found = {
            "weights": weights_of(self.values(), self.rule, self.temperature),
            "value": self.values(),
            "value_error": error,
            "total": total,
            "blocks": self.sums["blocks"],
        }
        named = {key: by_name(self.names, of) for key, of in found.items()}
        return {**named, "trajectory": self._path.thinned()}
