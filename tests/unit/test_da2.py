"""DA2: the nearest token histogram wins, the Huber loss is Huber's, the mean target gives uniform back."""

import numpy as np
import pytest
from scipy.special import huber as scipy_huber

from baselines.da2 import DA2, huber
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs
from chameleon.stages.inputs import method_inputs

DOMAINS = ("wiki", "books", "code")
RNG = np.random.default_rng(0)
TRAIN = RNG.dirichlet(np.full(40, 0.3), size=3) * 1e5


def solve(train=TRAIN, wanted=TRAIN, seed=0, counts=None, domains=DOMAINS, **params):
    params = registry.parameters("da2", params, "here")
    DA2().check(params, domains, {})
    counts = counts or dict.fromkeys(domains, 1000)
    result = DA2().weights(
        MethodInputs(domains, counts, params, seed, 10, histograms=train, validation_histograms=wanted)
    )
    return np.array(list(result.schedule.stages[0].weights.values())), result.diagnostics


def test_the_loss_is_hubers_whatever_the_piece():
    mixtures, target = RNG.dirichlet(np.ones(3), size=5), RNG.dirichlet(np.ones(40))
    vectors = TRAIN / TRAIN.sum(axis=1, keepdims=True)
    expected = [scipy_huber(0.01, r @ vectors - target).sum() for r in mixtures]
    assert huber(mixtures, vectors, target, 0.01) == pytest.approx(expected, rel=1e-12)


def test_the_mean_of_all_gives_uniform_back():
    found, said = solve()
    assert found == pytest.approx(1 / 3, abs=0.03)
    assert said["drift"] == pytest.approx(dict.fromkeys(sorted(DOMAINS), 0))


def test_a_planted_mixture_is_found_also_where_sizes_differ():
    shares = TRAIN / TRAIN.sum(axis=1, keepdims=True)
    planted = np.array([0.6, 0.1, 0.3])
    counts = {"wiki": 2000, "books": 1000, "code": 1000}
    found, said = solve(wanted=np.stack([planted @ shares] * 3) * 1e5, counts=counts)
    assert found == pytest.approx(planted, abs=0.05)
    assert said["loss"] < 0.05 and said["loss_uniform"] == pytest.approx(1)


def test_a_domain_as_target_is_what_is_like_it():
    found, _ = solve(target="code")
    assert found.argmax() == 2 and found[2] > 0.9


def test_the_same_bytes_and_other_seeds():
    first, again, other = solve(seed=1)[0], solve(seed=1)[0], solve(seed=2)[0]
    assert (first == again).all() and (first != other).any()


def test_histograms_of_both_splits_are_read(raw, toy):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "da2"]
    cfg = load(raw)
    corpora = [TokenCorpus(path) for path in toy.manifests]
    by_domain = {d: c for c in corpora for d in c.domains}
    spec = specs.weights(cfg, "toy", "da2", 0)
    assert spec["validation_histograms"] is True
    found = method_inputs(spec, by_domain, [], [], [])
    for row, domain in zip(found.validation_histograms, spec["domains"], strict=True):
        assert row.sum() == len(by_domain[domain].stream(domain, "validation"))
    assert (found.histograms.sum(axis=1) > found.validation_histograms.sum(axis=1)).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"target": "news"}, "da2: target: 'news' is not one of"),
        ({"delta": 0}, "da2: delta: 0 is not a number above 0"),
        ({"candidates": 0}, "da2: candidates: 0"),
        ({"candidates": 5, "top": 6}, "da2: top: 6 is not a whole number of at least 1 and at most 5"),
    ],
)
def test_refused(params, words):
    with pytest.raises(UserError, match=words):
        solve(**params)
