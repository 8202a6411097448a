"""Mixtures that keep below a cap on the epochs over each domain, and mean lengths of documents."""

from collections.abc import Mapping

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.capped import epoch_caps
from chameleon.mixture import Domain
from chameleon.mixture.epochs import epochs, tokens_of


def length_of(domain: Domain) -> float | None:
    """Return a domain's mean tokens per document: as told, or from its tokens and documents."""
    if domain.tokens_per_document is not None:
        return domain.tokens_per_document
    if domain.tokens and domain.documents:
        return domain.tokens / domain.documents
    return None


def capped(
    shares: Mapping[str, float], about: Mapping[str, Domain], budget: float, most: float
) -> tuple[dict[str, float], list[str]]:
    """Return token shares under which no domain is read more than `most` times, and the domains at the cap.

    What is above a cap goes to the other domains in proportion to their shares: their ratios stay. (A
    projection would give text to domains that the mixture leaves out.)

    Args:
        shares: positive, of sum one.
        about: with the tokens of every domain.
        budget: tokens of the run.
        most: epochs.

    Raises:
        UserError: a domain's tokens are not known, or all are at their cap before the budget is spent.
    """
    names = list(shares)
    if unknown := [d for d in names if tokens_of(about.get(d, Domain())) is None]:
        raise UserError(
            f"--max-epochs: the tokens of {', '.join(unknown)} are not known; give `tokens` for each in "
            "--data FILE"
        )
    epochs(shares, about, budget)
    counts = np.array([tokens_of(about[d]) for d in names], dtype=np.float64)
    wanted, caps = np.array([shares[d] for d in names]), epoch_caps(counts, budget, most)
    if caps.sum() < 1 - 1e-12:
        raise UserError(
            f"--max-epochs {most:g}: the mixture's domains hold {counts.sum():,.0f} tokens, too few for a "
            f"budget of {budget:,.0f} with every domain at that cap; the least is {budget / counts.sum():.4f}"
        )
    full = np.zeros(len(names), dtype=bool)
    found = wanted
    while (over := ~full & (found > caps)).any():
        full |= over
        left = wanted[~full].sum()
        found = np.where(full, caps, wanted * (1 - caps[full].sum()) / left if left else 0.0)
    # All at their caps, and the caps sum to one up to rounding.
    found = found / found.sum()
    return dict(zip(names, found.tolist(), strict=True)), [d for d, at in zip(names, full, strict=True) if at]
