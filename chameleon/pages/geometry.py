"""How domains lie to each other by their affinity: an order that puts alike beside alike, and a flat map.

Between a mixture's affinity and the page that draws it; pure functions, the affinity is all they need.
"""

from typing import NamedTuple

import numpy as np


class Map(NamedTuple):
    """Coordinates on the first two principal components (units of the hidden state), and their shares."""

    x: list[float]
    y: list[float]
    shares: tuple[float, float]


def cosines(affinity: np.ndarray) -> np.ndarray:
    """Return the k x k cosines between embeddings whose products are given; 0 for one of length 0."""
    lengths = np.sqrt(np.maximum(np.diag(affinity), 0.0))
    scale = np.outer(lengths, lengths)
    alike = np.divide(affinity, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.clip(alike, -1.0, 1.0)


def by_similarity(affinity: np.ndarray) -> list[int]:
    """Return an order of the k domains in which alike ones are neighbours.

    The leaves of a hierarchical clustering (average linkage, distance 1 - cosine), turned so that neighbours
    are as alike as they can be. Domains without a direction stand as far from all as unrelated ones.
    """
    k = len(affinity)
    if k < 3:
        return list(range(k))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - cosines(affinity)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [int(i) for i in leaves_list(tree)]


def flat_map(affinity: np.ndarray) -> Map:
    """Return the principal components of the centred embeddings, from their k x k products alone.

    Centred here again (H Ω H), which changes nothing where it was done before. Signs are fixed: the domain
    furthest out has a positive coordinate. Identical domains all lie at the origin.
    """
    k = len(affinity)
    centred = affinity - affinity.mean(axis=0) - affinity.mean(axis=1)[:, None] + affinity.mean()
    mu, v = np.linalg.eigh((centred + centred.T) / 2)
    mu = np.where(mu > k * np.finfo(float).eps * max(float(mu[-1]), 0.0), mu, 0.0)
    axes, shares = [], []
    for j in (1, 2):
        if j > k:
            axes.append(np.zeros(k))
            shares.append(0.0)
            continue
        axis = np.sqrt(mu[-j]) * v[:, -j]
        far = axis[np.argmax(np.abs(axis))]
        axes.append(axis if far >= 0 else -axis)
        shares.append(float(mu[-j] / mu.sum()) if mu.sum() > 0 else 0.0)
    return Map(axes[0].tolist(), axes[1].tolist(), (shares[0], shares[1]))
