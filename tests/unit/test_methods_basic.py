"""Uniform, natural and chameleon behind the interface: values, parameters, bad input, light imports."""

import json
import subprocess
import sys

import numpy as np
import pytest

from chameleon import krls
from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs

DOMAINS = ("book", "arxiv", "github", "wiki")
COUNTS = {"arxiv": 300, "book": 100, "github": 500, "wiki": 100}
X = np.random.default_rng(5).normal(scale=4, size=(4, 6))


def solve(name: str, domains=DOMAINS, counts=COUNTS, embeddings=X, **params):
    """Run a method at once; returns (weights, diagnostics)."""
    params = registry.parameters(name, params, "config.yaml: method_params")
    result = registry.get(name).weights(MethodInputs(tuple(domains), counts, params, 0, 10, embeddings))
    (stage,) = result.schedule.stages
    assert stage.start_step == 0 and tuple(stage.weights) == tuple(domains)
    return stage.weights, result.diagnostics


def test_uniform_and_natural():
    assert solve("uniform")[0] == dict.fromkeys(DOMAINS, 0.25)
    assert solve("natural")[0] == {"book": 0.1, "arxiv": 0.3, "github": 0.5, "wiki": 0.1}


def test_natural_ignores_domains_outside_the_scenario_and_refuses_empty_ones():
    assert solve("natural", domains=("arxiv", "book"))[0] == {"arxiv": 0.75, "book": 0.25}
    with pytest.raises(UserError, match="book has no train tokens"):
        solve("natural", counts={**COUNTS, "book": 0})


@pytest.mark.parametrize("mode", ["pretrain", "finetune"])
@pytest.mark.parametrize("switches", [{}, {"centre": False, "normalise": False}])
def test_chameleon_is_krls(mode, switches):
    weights, diagnostics = solve("chameleon", mode=mode, ridge=3, **switches)
    omega = krls.affinity(X, switches.get("centre", True))
    scores = krls.leverage_scores(omega, 3, switches.get("normalise", True))
    expected = krls.pretrain_weights(scores) if mode == "pretrain" else krls.finetune_weights(scores)
    assert list(weights.values()) == expected.tolist()
    assert diagnostics["scores"] == dict(zip(DOMAINS, scores.tolist(), strict=True))


def test_chameleon_records_k_lambda_beside_the_eigenvalues():
    _, diagnostics = solve("chameleon")
    assert json.loads(json.dumps(diagnostics)) == diagnostics
    assert diagnostics["k_lambda"] == 40
    values, omega = np.array(diagnostics["eigenvalues"]), np.array(diagnostics["affinity"])
    assert (np.diff(values) <= 0).all() and abs(values[-1]) < 1e-12 * values[0]
    assert values.sum() == pytest.approx(np.trace(omega))


def test_chameleon_temperature_follows_the_mode_unless_given():
    assert solve("chameleon")[0] == solve("chameleon", temperature=5.0)[0]
    assert solve("chameleon", mode="finetune")[0] == solve("chameleon", mode="finetune", temperature=0.2)[0]
    assert solve("chameleon", temperature=1)[0] != solve("chameleon")[0]


def test_chameleon_temperature_may_follow_the_number_of_domains():
    found, diagnostics = solve("chameleon", temperature={"at": 5.0, "of": 7})
    assert found == solve("chameleon", temperature=5.0 * 4 / 7)[0]
    assert diagnostics["temperature"] == pytest.approx(20 / 7)


def test_permuting_domains_permutes_weights():
    order = [2, 0, 3, 1]
    domains = [DOMAINS[i] for i in order]
    for name in ("uniform", "natural", "chameleon"):
        moved = solve(name, domains=domains, embeddings=X[order])[0]
        assert moved == pytest.approx(solve(name)[0], rel=1e-12)


@pytest.mark.parametrize("name", ["uniform", "natural", "chameleon"])
def test_one_domain(name):
    assert solve(name, domains=("book",), embeddings=X[:1])[0] == {"book": 1.0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mode": "ft"}, "'ft' is not one of pretrain, finetune"),
        ({"ridge": 0}, "chameleon.ridge: 0 is not a number above 0"),
        ({"ridge": "10"}, "chameleon.ridge"),
        ({"ridge": True}, "chameleon.ridge"),
        ({"temperature": -1.0}, "chameleon.temperature"),
        ({"temperature": {"at": 5}}, "temperature: {'at': 5} is neither a number nor {at: a number, of: dom"),
        ({"temperature": {"at": 0, "of": 7}}, "temperature.at: 0 is not a number above 0"),
        ({"temperature": {"at": 5, "of": 0.5}}, "temperature.of: 0.5 is not a whole number"),
        ({"lamda": 1}, "unknown parameter 'lamda'"),
    ],
)
def test_bad_parameters(params, words):
    with pytest.raises(UserError, match=words):
        solve("chameleon", **params)


@pytest.mark.parametrize("embeddings", [None, X[:3]])
def test_chameleon_needs_one_embedding_per_domain(embeddings):
    with pytest.raises(ValueError, match="one embedding for each of 4 domains"):
        solve("chameleon", embeddings=embeddings)


def test_listing_methods_imports_nothing_heavy():
    """The workflow lists methods each time Snakemake parses it, in every cluster job."""
    code = """if True:
        import sys
        from chameleon.mixing import registry
        print(*registry.names())
        print([m for m in ("torch", "transformers", "pandas", "datasets") if m in sys.modules])
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed, heavy = run.stdout.splitlines()
    assert {"uniform", "natural", "chameleon"} <= set(listed.split())
    assert heavy == "[]"
