"""One answer: the weights of domains with what is known of them, its file, and two of them side by side."""

from chameleon.mixture.mixture import Domain, Mixture

__all__ = ["Domain", "Mixture"]
