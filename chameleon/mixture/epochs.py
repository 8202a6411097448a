"""How often each domain's text is read in a run."""

from collections.abc import Mapping

from chameleon.core.errors import UserError
from chameleon.mixture.mixture import Domain


def tokens_of(domain: Domain) -> float | None:
    """Return a domain's tokens: as told, or from its documents and their mean length; None: not known."""
    if domain.tokens is not None:
        return domain.tokens
    if domain.documents is not None and domain.tokens_per_document is not None:
        return domain.documents * domain.tokens_per_document
    return None


def epochs(
    shares: Mapping[str, float], about: Mapping[str, Domain], budget: float
) -> dict[str, float | None]:
    """Return how often each domain's tokens are read, w_j · budget / N_j; None where N_j is not known.

    Raises:
        UserError: a domain with a weight and no tokens.
    """
    found: dict[str, float | None] = {}
    for name, share in shares.items():
        tokens = tokens_of(about.get(name, Domain()))
        if tokens is not None and tokens <= 0:
            raise UserError(f"domain {name!r} has weight {share:.3g} but no tokens to read")
        found[name] = None if tokens is None else share * budget / tokens
    return found
