"""Chameleon: domain weights from the kernel ridge leverage scores of domain embeddings.

Xie, Tonin, Cevher, ICML 2025 (arXiv 2505.24844). A method like any other: reads the embeddings that the proxy
of the scenario gave, returns a static mixture. The equations are in `chameleon.krls`. With k domains, d
features and n windows per domain the cost beyond the proxy is one forward pass over n·k windows and O(k²d +
k³), for many domains O(kd² + d³).

Known differences from the paper:
- The affinity is centred, as in its code; the paper's is Ω = XXᵀ (`centre: false`).
- The scores are divided by their sum, as in its code since July 2025; the paper's are not (`normalise:
  false`).
- The softmax has its code's temperature, 5 to pretrain and 0.2 to finetune; the paper's formula shows none.
  λ is the code's, 10. Both were chosen at seven domains; `temperature: {at: 5.0, of: 7}` is ours for others.
- A domain's embedding is the mean over random windows of its train split, equal rows counted once, as in its
  code; the paper's is the mean over the domain.
- At the CPU scale the proxy is small (4 blocks of width 48, 400 steps; the paper's has 82M parameters and
  takes 2,000). One is trained per seed, so intervals include what its seed does to the weights.
- Which model embeds in finetuning is not known to us; the default config takes the model that is finetuned.

Known differences from its code:
- Windows stay token ids of full length. Its code decodes them to text, tokenises again, pads, and averages
  over the padding.
- Windows are drawn without repetition and by seed; its code draws with repetition and sets no seed. The
  default config draws 512 windows of the proxy's context, its code 2,048 of 512 tokens.
- Embeddings are centred rather than the kernel matrix, and scores come from eigenvalues, for more than 1,000
  domains of d < k features without the k x k matrix: the same in exact arithmetic, with more correct digits.
- Identical domains (or one domain) give uniform weights. A domain exactly at the centroid takes all the
  pretraining weight, shared among such domains: the limit of the softmax. Its code returns NaN in both cases.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.mixing import Method, MethodInputs, MethodResult, register
from chameleon.mixture.settings import Settings, weigh

#: Most domains whose affinity is computed and shown; beyond, the scores come without a k x k matrix.
SHOWN = 1000


@register
class Chameleon(Method):
    """Pretraining: α = softmax(1/s/T), common domains gain; finetuning: α = softmax(s/T), rare ones do."""

    name = "chameleon"
    version = 2
    kind = "proxy"
    sees = ("train text",)
    cost = "6 n d + 2 n w"
    requires = frozenset({"embeddings"})
    where = "method_params.chameleon."
    parameters = {
        "mode": "pretrain",  # or finetune
        # λ; the affinity is regularised by kλ. {of_trace: 0.2}: kλ is this share of the affinity's trace,
        # the sum of its eigenvalues, whatever the size of the features.
        "ridge": 10.0,
        # None: 5.0 to pretrain, 0.2 to finetune. {at: 5.0, of: 7}: in proportion to the number of domains,
        # 5.0 at seven. Scores sum to one, so 1/s grows with k, and a fixed temperature turns sharper with it.
        "temperature": None,
        "centre": True,  # False: the paper's uncentred affinity
        "normalise": True,  # False: the paper's scores, not divided by their sum
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for an unknown mode, or a ridge or temperature that is not a positive number."""
        Settings(**params).check(self.where, len(domains))

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the static mixture, with scores, affinity and its eigenvalues beside kλ as diagnostics.

        Raises:
            UserError: as `check`.
            ValueError: no embeddings, or embeddings that do not fit the domains.
        """
        settings, k = Settings(**{**self.defaults, **inputs.params}), len(inputs.domains)
        settings.check(self.where, k)
        if inputs.embeddings is None or len(inputs.embeddings) != k:
            got = None if inputs.embeddings is None else np.shape(inputs.embeddings)
            raise ValueError(f"chameleon needs one embedding for each of {k} domains, got {got}")
        found, seen = weigh(inputs.embeddings, settings, affinity=k <= SHOWN), dict[str, Any]()
        if k <= SHOWN:
            # Eigenvalues, largest first: λ means something only beside them.
            eigenvalues = np.linalg.eigvalsh(found.affinity)[::-1]
            seen = {"affinity": found.affinity.tolist(), "eigenvalues": eigenvalues.tolist()}
        diagnostics = {
            "scores": dict(zip(inputs.domains, found.scores.tolist(), strict=True)),
            **seen,
            "k_lambda": k * found.ridge,
            "temperature": found.temperature,
        }
        return inputs.answer(dict(zip(inputs.domains, found.weights.tolist(), strict=True)), diagnostics)
