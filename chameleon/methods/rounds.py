"""Search of a mixture in rounds: CLIMB's predictor, and the draw of a round from its best candidates.

`baselines/climb.py` says which runs there are; this is what happens between two rounds. Pure functions of
arrays whose columns are the domains sorted by name; read and write nothing.
"""

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.regression.mixtures import candidate_mixtures, upper_bounds
from chameleon.methods.regression.models import REFERENCE_PARAMETERS, LightGBM, Regression, fit

#: The tutorial `nemotron-climb-data-curation` of NeMo Curator, `8_predict.py`; lambda is its reg_alpha and
#: reg_lambda, min_data_in_leaf its min_child_samples.
PARAMETERS = {
    **REFERENCE_PARAMETERS, "num_iterations": 1000, "learning_rate": 0.01, "metric": "l2", "lambda_l1": 1.0,
    "lambda_l2": 1.0, "max_depth": 4, "min_data_in_leaf": 5,
}  # fmt: skip
#: Share of the runs that trees are grown on; the others say when to stop.
TRAINED_ON = 0.9
#: Trees without a better loss on the others after which no more are grown; as many as there are others, if
#: they are fewer.
PATIENCE = 20
#: A later round's mixtures are drawn from the square of their number, but at least so many candidates.
LEAST_POOL = 128
#: Mixtures that differ by less in every weight are the same.
SAME = 1e-9


class EarlyStopped(LightGBM):
    """Boosted trees that stop growing where runs held out for it are predicted best.

    The losses are scaled to a standard deviation of one. Both penalties are in the units of the target, which
    is an accuracy in per cent in the paper: a penalty of 1 on losses in nats leaves no tree a single split.

    Attributes:
        rounds: trees kept.
    """

    name = "climb"

    def __init__(self, mixtures: np.ndarray, losses: np.ndarray) -> None:
        import lightgbm

        self.parameters = dict(PARAMETERS)
        options = dict(PARAMETERS)
        most = options.pop("num_iterations")
        self._level, self._spread = float(losses.mean()), float(losses.std()) or 1.0
        n = len(losses)
        order = generator(PARAMETERS["seed"], "climb", "stopping").permutation(n)
        grown, held = np.split(order, [max(1, int(TRAINED_ON * n))])
        scaled = (losses - self._level) / self._spread
        trees = lightgbm.Dataset(mixtures[grown], scaled[grown])
        others = lightgbm.Dataset(mixtures[held], scaled[held], reference=trees)
        stop = lightgbm.early_stopping(min(PATIENCE, len(held)), verbose=False)
        self._booster = lightgbm.train(options, trees, most, valid_sets=[others], callbacks=[stop])
        self.rounds = int(self._booster.best_iteration)

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        return self._level + self._spread * super().predict(mixtures)


def predictor(name: str, mixtures: np.ndarray, losses: np.ndarray) -> Regression:
    """Return a regression fitted to n runs: CLIMB's, of their mean loss, or another one of `models.MODELS`.

    Args:
        name: of the regression.
        mixtures: n x k.
        losses: n x m.
    """
    if name == EarlyStopped.name:
        return EarlyStopped(np.ascontiguousarray(mixtures), losses.mean(axis=1))
    return fit(name, mixtures, losses)


def held_out(
    name: str, mixtures: np.ndarray, losses: np.ndarray, folds: int, draw: np.random.Generator
) -> np.ndarray:
    """Return each run's loss (n) as predicted by a regression fitted to the runs of the other folds."""
    found = np.zeros(len(mixtures))
    for left in np.array_split(draw.permutation(len(mixtures)), min(folds, len(mixtures))):
        kept = np.delete(np.arange(len(mixtures)), left)
        found[left] = predictor(name, mixtures[kept], losses[kept]).predict(mixtures[left])
    return found


def next_round(
    model: Regression,
    candidates: np.ndarray,
    trained: np.ndarray,
    number: int,
    pool: int | None,
    draw: np.random.Generator,
) -> np.ndarray:
    """Return `number` mixtures, drawn without replacement from the candidates of lowest predicted loss.

    Candidates of equal prediction come in the order in which they were drawn: a model that tells none apart
    leaves a random draw.

    Args:
        model: fitted to the runs so far.
        candidates: n x k, more than there are runs in all.
        trained: mixtures of the runs so far, which are not drawn again.
        number: mixtures asked for.
        pool: candidates to draw from; None: the square of `number`, but at least LEAST_POOL.
        draw: source of the draw.
    """
    unseen = np.ones(len(candidates), dtype=bool)
    for mixture in trained:
        unseen &= np.abs(candidates - mixture).max(axis=1) > SAME
    ranked = np.argsort(model.predict(candidates), kind="stable")
    best = ranked[unseen[ranked]][: max(number**2, LEAST_POOL) if pool is None else pool]
    return candidates[draw.choice(best, size=number, replace=False)]


def around(k: int, number: int, draw: np.random.Generator) -> np.ndarray:
    """Return the candidates: mixtures of k domains around the uniform one, within RegMix's bounds."""
    prior = np.full(k, 1 / k)
    return candidate_mixtures(prior, upper_bounds(prior), number, draw)
