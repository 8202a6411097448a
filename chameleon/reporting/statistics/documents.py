"""What other test text would change: the error that a difference of mean losses has from its documents.

Every method and seed is tested on the same documents, so this error does not shrink with the number of seeds.
Documents are the clusters: blocks of one document go up and down together. Domains are independent, each a
stratum of its own.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from chameleon.reporting.records.tidy import YARDSTICK, Frames, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import differences
from chameleon.reporting.statistics.stats import Estimate

#: The mean that the documents' losses belong to: the unweighted mean of the domains' test losses, nats/token.
METRIC = "mean_log_perplexity"


class TextError(NamedTuple):
    """The test text's part in the error of a mean difference.

    Attributes:
        error: standard error in nats/token; None where a domain has a single document.
        documents: {domain: number of its test documents}.
    """

    error: float | None
    documents: dict[str, int]

    @property
    def freedom(self) -> int:
        """Degrees of freedom: documents less domains, whose means are estimated."""
        return sum(self.documents.values()) - len(self.documents)

    @property
    def thinnest(self) -> str:
        """The domain with the fewest documents, the first of several."""
        return min(self.documents, key=lambda domain: self.documents[domain])


class Compared(NamedTuple):
    """A method's mean loss against uniform's, and what the test text has to do with its interval.

    Attributes:
        estimate: of the difference, nats/token; its `sd` and `n` are those of the seeds.
        text: None where documents and seeds do not pair.
    """

    estimate: Estimate
    text: TextError | None

    @property
    def has_interval(self) -> bool:
        """Whether there are seeds enough for an interval."""
        return self.estimate.sd is not None

    @property
    def covers_text(self) -> bool:
        """Whether the interval covers other test text as well as other seeds."""
        return self.has_interval and self.text is not None and self.text.error is not None


def domain_error(blocks: Sequence[float], moved: Sequence[float]) -> float | None:
    """Return the standard error of a domain's mean difference over its documents.

    The cluster-robust one of the ratio estimator m = Σ n_i δ_i / Σ n_i (Cochran, Sampling Techniques, 1977,
    section 9A): √(D / (D − 1) · Σ (n_i (δ_i − m))²) / Σ n_i.

    Args:
        blocks: n_i of D documents, all positive.
        moved: δ_i, mean difference on each, nats/token.

    Returns:
        nats/token; None for fewer than two documents.
    """
    n, x = np.asarray(blocks, dtype=np.float64), np.asarray(moved, dtype=np.float64)
    if n.shape != x.shape or n.ndim != 1 or not (n > 0).all():
        raise ValueError(f"need one positive number of blocks per difference, got {blocks!r} for {moved!r}")
    if n.size < 2:
        return None
    residuals = n * (x - math.fsum(n * x) / n.sum())
    return math.sqrt(n.size / (n.size - 1) * math.fsum(residuals**2)) / float(n.sum())


def mean_error(domains: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> TextError:
    """Return the error of the unweighted mean over K domains: √(Σ se_d²) / K.

    Args:
        domains: {domain: (blocks, differences) as `domain_error` takes them}, at least one.
    """
    errors = [domain_error(blocks, moved) for blocks, moved in domains.values()]
    counts = {domain: len(blocks) for domain, (blocks, _) in domains.items()}
    known = [error for error in errors if error is not None]
    whole = math.sqrt(math.fsum(error**2 for error in known)) / len(errors)
    return TextError(whole if len(known) == len(errors) else None, counts)


def text_error(
    documents: pd.DataFrame, a: str, b: str, domains: Sequence[str], seeds: Collection[int]
) -> TextError | None:
    """Return the test text's part in the error of a − b in mean loss, paired by document and seed.

    Each document's difference is averaged over the seeds first. What is left of the seeds' noise in it counts
    twice, here and in the spread over seeds, which makes an interval of both a little too wide.

    Args:
        documents: rows of documents.csv of one scenario.
        a, b: two methods.
        domains: that the mean is over.
        seeds: that it is over.

    Returns:
        None without seeds, or where a document of a seed is missing or has other blocks than elsewhere.
    """
    mine = documents[
        documents["method"].isin([a, b])
        & documents["seed"].isin(list(seeds))
        & documents["domain"].isin(list(domains))
    ]
    pairs = pd.MultiIndex.from_product([[a, b], sorted(seeds)])
    keys = {"index": ["domain", "document"], "columns": ["method", "seed"]}
    loss, blocks = (mine.pivot(**keys, values=v).reindex(columns=pairs) for v in ("loss", "blocks"))
    whole = not loss.empty and set(domains) == set(mine["domain"]) and not loss.isna().to_numpy().any()
    if not whole or (blocks.nunique(axis=1) != 1).any():
        return None
    moved = (loss[a] - loss[b]).mean(axis=1)
    count = blocks.iloc[:, 0]
    return mean_error({d: (count[d].to_numpy(), moved[d].to_numpy()) for d in domains})


def with_text_error(values: Sequence[float], text: TextError) -> Estimate:
    """Return the mean over seeds with an interval for other seeds and other test text together.

    Half width t_ν · √(a + b), a = sd²/n of the seeds and b the square of the text's error, with Welch's and
    Satterthwaite's ν = (a + b)² / (a² / (n − 1) + b² / (documents − domains)). With one seed there is no
    interval, and without an error of the text that of the seeds alone.

    ν is an approximation that covers a little too little where the text's error is small: there it exceeds
    n − 1 and the interval would be narrower than that of the seeds alone, which it never is here.

    Args:
        values: n differences, one per seed.
        text: of their mean.
    """
    estimate = stats.mean_interval(values)
    if estimate.sd is None or text.error is None:
        return estimate
    a, b = estimate.sd**2 / estimate.n, text.error**2
    if b == 0:
        return estimate
    freedom = (a + b) ** 2 / (a**2 / (estimate.n - 1) + b**2 / text.freedom)
    half = float(scipy.stats.t.ppf((1 + stats.LEVEL) / 2, freedom)) * math.sqrt(a + b)
    half = max(half, estimate.half_width or 0.0)
    return estimate._replace(low=estimate.mean - half, high=estimate.mean + half)


def mean_loss_to_uniform(frames: Frames, method: str) -> Compared | None:
    """Return a method's mean loss against uniform's, paired by seed; None if they share no seed.

    Its interval is over seeds alone where the documents do not pair (see `Compared.covers_text`).
    """
    metrics = frames["metrics"]
    moved = differences(metrics, method, YARDSTICK, "mean", METRIC)
    if not moved:
        return None
    values = list(moved.values())
    text = text_error(frames["documents"], method, YARDSTICK, tested_domains(metrics), moved)
    estimate = stats.mean_interval(values) if text is None else with_text_error(values, text)
    return Compared(estimate, text)
