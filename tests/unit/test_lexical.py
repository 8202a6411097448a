"""Chameleon lexical: Chameleon's own equations on token histograms, scaled to the proxy's embeddings."""

import numpy as np
import pytest

from chameleon import krls
from chameleon.data.tokens import TokenCorpus
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs
from chameleon.stages.inputs import method_inputs

DOMAINS = ("wiki", "books", "code")
EMBEDDINGS = np.random.default_rng(0).normal(size=(3, 5))


def weights(histograms, embeddings=EMBEDDINGS):
    params = registry.parameters("chameleon_lexical", {}, "here")
    given = MethodInputs(
        DOMAINS, dict.fromkeys(DOMAINS, 9), params, 0, 10, embeddings, histograms=np.array(histograms)
    )
    result = registry.get("chameleon_lexical").weights(given)
    return list(result.schedule.stages[0].weights.values()), result.diagnostics


def test_the_features_are_roots_of_token_shares_with_the_proxys_trace():
    counts = [[8, 1, 1], [10, 10, 0], [0, 30, 70]]
    found, said = weights(counts)
    features = np.sqrt([[0.8, 0.1, 0.1], [0.5, 0.5, 0], [0, 0.3, 0.7]])
    omega = krls.affinity(features, centre=True)
    theirs = krls.affinity(EMBEDDINGS, centre=True)
    omega = omega * np.trace(theirs) / np.trace(omega)
    assert found == pytest.approx(krls.pretrain_weights(krls.leverage_scores(omega)), rel=1e-9)
    assert np.trace(np.array(said["affinity"])) == pytest.approx(np.trace(theirs))
    assert said["scale"] > 0


def test_the_size_of_a_domain_plays_no_part_and_alike_domains_weigh_alike():
    found, _ = weights([[8, 1, 1], [80, 10, 10], [0, 3, 7]])
    assert found[0] == pytest.approx(found[1]) and found[2] != pytest.approx(found[0])
    alike, said = weights([[4, 4, 2]] * 3)
    assert alike == pytest.approx([1 / 3] * 3) and said["scale"] == 1.0


def test_histograms_are_counted_from_the_train_splits(raw, toy):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "chameleon_lexical"]
    cfg = load(raw)
    corpora = [TokenCorpus(path) for path in toy.manifests]
    by_domain = {d: c for c in corpora for d in c.domains}
    spec = specs.weights(cfg, "toy", "chameleon_lexical", 0)
    assert spec["histograms"] is True and "histograms" not in specs.weights(cfg, "toy", "uniform", 0)
    found = method_inputs(spec, by_domain, [], [], []).histograms
    for row, domain in zip(found, spec["domains"], strict=True):
        stream = by_domain[domain].stream(domain, "train")
        ids = stream.read(0, len(stream))
        assert row.tolist() == [int((ids == token).sum()) for token in range(by_domain[domain].vocab_size)]


def test_it_says_what_is_missing():
    params = registry.parameters("chameleon_lexical", {}, "here")
    given = MethodInputs(DOMAINS, dict.fromkeys(DOMAINS, 9), params, 0, 10, EMBEDDINGS)
    with pytest.raises(ValueError, match="histograms"):
        registry.get("chameleon_lexical").weights(given)
