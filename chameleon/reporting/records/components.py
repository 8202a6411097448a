"""Principal components of domain embeddings, for the map of domains in diagnostics.csv."""

import numpy as np


def principal_components(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centred embeddings' first two principal coordinates and their shares of the variance.

    Args:
        embeddings: k x d.

    Returns:
        k x 2 coordinates (zero where there are fewer directions), and two shares. The sign of an axis is
        fixed: its largest coordinate is positive.
    """
    centred = embeddings - embeddings.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points, shares, found = np.zeros((len(embeddings), 2)), np.zeros(2), min(2, len(s))
    points[:, :found] = u[:, :found] * s[:found]
    furthest = points[np.abs(points).argmax(axis=0), range(2)]
    points *= np.where(furthest < 0, -1.0, 1.0)
    if (total := float((s**2).sum())) > 0:
        shares[:found] = s[:found] ** 2 / total
    return np.round(points, 9), np.round(shares, 9)
