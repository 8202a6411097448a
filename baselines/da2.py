"""DA2: the mixture whose text looks most like the text that it is wanted for. Trains nothing.

Zhang et al., "Domain2Vec" (ICML 2025), its training-free form, distribution alignment. Every data set has a
vector v, the distribution of its text over features that are fixed beforehand; a mixture r of domains has
V r. Of many candidate mixtures those of the lowest Huber loss between V r and the vector of the target's
text are averaged.

The features here are tokens: v is the histogram of a text's token ids. The target is validation text.

With the mean over the domains as target (the default, since that is what mixtures are judged by here), the
alignment can find little but the uniform mixture: the target *is* the uniform mixture of the domains' text,
and what moves the answer is the difference between train and validation text. With one domain as target it
finds the domains whose vocabulary is like it.

Known differences from the paper:
- Its features are a trained classifier's distributions over 260 meta-domains; no such classifier is to be had
  here. Histograms of tokens are cruder: they see vocabulary and no meaning.
- The candidates are drawn around the natural mixture, as there; how many is ours. The mean of the best 100 is
  what the paper takes in its setting with RegMix.
- The Huber loss turns from squares to absolutes at `delta`, which is not known to us. Shares of tokens are
  far below one, so it is given in multiples of the largest share; at 1 nothing is beyond it: squares.
- The target's text is the domains' validation text; the paper's is that of the task at hand.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.regression.mixtures import candidate_mixtures, upper_bounds
from chameleon.mixing import (
    MEAN,
    Method,
    MethodInputs,
    MethodResult,
    check_whole,
    named,
    number,
    register,
    target,
    whole,
)

#: Numbers of V r held at once: bounds the memory.
HELD = 2**22


@register
class DA2(Method):
    """The mean of the candidate mixtures whose token histogram is nearest to the target's."""

    name = "da2"
    kind = "free"
    sees = ("token counts", "train text", "validation text")
    requires = frozenset({"histograms", "validation_histograms"})
    parameters = {
        "target": target(),  # text of all domains in equal parts, or of one
        # Where the Huber loss turns, in multiples of the largest share (unknown).
        "delta": number(0.1, above=0),
        "candidates": whole(100_000, 1, most=10_000_000),  # mixtures looked at
        "top": 100,  # of the lowest loss, averaged
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse a mean too of more mixtures than there are."""
        super().check(params, domains, facts)
        check_whole("method da2: top", params["top"], 1, most=params["candidates"])

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the aligned mixture.

        Diagnostics: its `loss`, that of the best candidate and of uniform, in multiples of uniform's; and how
        far train and validation text of a domain are apart (`drift`, total variation).
        """
        names, params = inputs.names, inputs.params
        assert inputs.histograms is not None and inputs.validation_histograms is not None
        order = [inputs.domains.index(name) for name in names]
        have, wanted = (
            counts[order] / counts[order].sum(axis=1, keepdims=True)
            for counts in (inputs.histograms, inputs.validation_histograms)
        )
        target = wanted.mean(axis=0) if params["target"] == MEAN else wanted[names.index(params["target"])]
        delta = params["delta"] * float(max(have.max(), target.max()))
        tokens = np.array([inputs.token_counts[name] for name in names], dtype=np.float64)
        prior = tokens / tokens.sum()
        draw = generator(inputs.seed, "da2", "candidates")
        candidates = candidate_mixtures(prior, upper_bounds(prior), params["candidates"], draw)
        step = max(1, HELD // have.shape[1])
        pieces = (candidates[i : i + step] for i in range(0, len(candidates), step))
        losses = np.concatenate([huber(piece, have, target, delta) for piece in pieces])
        best = np.argsort(losses, kind="stable")[: params["top"]]
        found = candidates[best].mean(axis=0)
        found = found / found.sum()
        uniform, own = huber(np.stack([np.full(len(names), 1 / len(names)), found]), have, target, delta)
        unit = float(uniform) if uniform > 0 else 1.0
        drift = np.abs(have - wanted).sum(axis=1) / 2
        diagnostics = {
            "loss": float(own) / unit,
            "loss_best": float(losses.min()) / unit,
            "loss_uniform": float(uniform) / unit,
            "drift": named(names, drift),
        }
        return inputs.answer(found, diagnostics)


def huber(mixtures: np.ndarray, vectors: np.ndarray, target: np.ndarray, delta: float) -> np.ndarray:
    """Return the Huber loss between the vectors of n mixtures and the target's, summed over features (n).

    Args:
        mixtures: n x k.
        vectors: V, k x features.
        target: features.
        delta: where squares turn into absolutes, in units of the vectors.
    """
    off = np.abs(mixtures @ vectors - target)
    inner = np.minimum(off, delta)
    loss: np.ndarray = (inner * (off - inner / 2)).sum(axis=1)
    return loss
