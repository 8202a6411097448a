"""Principal components of domain embeddings, for the map of domains in diagnostics.csv."""

import numpy as np


def principal_components(embeddings: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the centred embeddings' first principal coordinates and their shares of the variance.

    Args:
        embeddings: k x d.

    Returns:
        k x count coordinates (zero where there are fewer than `count` directions), and `count` shares. The
        sign of an axis is fixed: its largest coordinate is positive.
    """
    centred = embeddings - embeddings.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(embeddings), count))
    shares = np.zeros(count)
    total = float((s**2).sum())
    for axis in range(min(count, len(s))):
        column = u[:, axis] * s[axis]
        points[:, axis] = column * (np.sign(column[np.abs(column).argmax()]) or 1.0)
        shares[axis] = s[axis] ** 2 / total if total > 0 else 0.0
    return np.round(points, 9), np.round(shares, 9)
