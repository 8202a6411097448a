"""MDE: the experts' losses as features; a swarm whose losses they explain; bad input."""

import numpy as np
import pytest
from test_mixmin import DOMAINS, LENGTH, experts, noisy

from chameleon.core.errors import UserError
from chameleon.methods import likelihood
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

PARAMS = {"candidates": 2000, "top": 20, "regression": "linear"}


def given(n=24, seed=0, **params):
    """Return inputs whose swarm's losses are twice what the experts' mixture says, with unlike offsets."""
    params = registry.parameters("mde", PARAMS | params, "here")
    registry.get("mde").check(params, DOMAINS, {})
    blocks = noisy(seed, n=160).reshape(4, 40, 4) - 0.4 * np.eye(4)[:, None, :]
    swarm = {}
    for i, p in enumerate(np.random.default_rng(seed).dirichlet(np.ones(4), size=n)):
        order = [sorted(DOMAINS).index(d) for d in DOMAINS]
        losses = {d: 2 * likelihood.loss(blocks[j], LENGTH, p[order]) + j for j, d in enumerate(DOMAINS)}
        swarm[f"mix{i:03d}"] = RunResult(dict(zip(sorted(DOMAINS), p.tolist(), strict=True)), losses, None)
    read = {"regmix": swarm, "single_domain": experts(blocks)}
    return MethodInputs(DOMAINS, dict.fromkeys(DOMAINS, 9), params, 0, 10, read=read), blocks


def test_a_linear_law_of_the_features_is_recovered():
    inputs, blocks = given()
    method = registry.get("mde")
    mixture = {"wiki": 0.1, "books": 0.2, "code": 0.3, "web": 0.4}
    p = np.array(list(mixture.values()))
    true = np.mean([2 * likelihood.loss(blocks[j], LENGTH, p) + j for j in range(4)])
    assert method.foretell(inputs, {"mine": mixture})["mine"] == pytest.approx(true, abs=1e-6)
    found = method.weights(inputs)
    weights = np.array([found.schedule.stages[0].weights[d] for d in DOMAINS])
    best, _ = likelihood.best(blocks.reshape(-1, 4), LENGTH)
    flat = blocks.reshape(-1, 4)
    uniform = likelihood.loss(flat, LENGTH, np.full(4, 0.25)) - likelihood.loss(flat, LENGTH, best)
    left = likelihood.loss(flat, LENGTH, weights) - likelihood.loss(flat, LENGTH, best)
    assert left < 0.2 * uniform or left < 1e-3
    assert found.diagnostics["heldout_spearman"] > 0.99


def test_the_control_needs_no_expert():
    inputs, _ = given(features="log")
    method = registry.get("mde")
    assert method.reads(inputs.params) == ["regmix"]
    assert method.reads(registry.parameters("mde", {}, "here")) == ["regmix", "single_domain"]
    alone = MethodInputs(
        DOMAINS, inputs.token_counts, inputs.params, 0, 10, read={"regmix": inputs.read["regmix"]}
    )
    mixture = {d: 0.25 for d in DOMAINS}
    swarm = list(inputs.read["regmix"].values())
    x = np.array([[run.weights[d] for d in sorted(DOMAINS)] for run in swarm])
    columns = np.column_stack([x, np.log(x + 0.01), np.ones(len(x))])
    y = np.array([np.mean(list(run.losses.values())) for run in swarm])
    fit = np.linalg.lstsq(columns, y, rcond=None)[0]
    row = np.r_[np.full(4, 0.25), np.log(np.full(4, 0.26)), 1.0]
    assert method.foretell(alone, {"even": mixture})["even"] == pytest.approx(row @ fit, abs=1e-3)


def test_the_order_of_the_domains_plays_no_part():
    inputs, _ = given()
    weights = registry.get("mde").weights(inputs).schedule.stages[0].weights
    turned = MethodInputs(DOMAINS[::-1], inputs.token_counts, inputs.params, 0, 10, read=inputs.read)
    assert registry.get("mde").weights(turned).schedule.stages[0].weights == pytest.approx(weights, abs=1e-12)


def test_bad_input():
    inputs, _ = given(n=2)
    with pytest.raises(UserError, match="method mde: swarm: 'regmix' has 2 runs"):
        registry.get("mde").weights(inputs)
    inputs, _ = given()
    del inputs.read["single_domain"]["only_code"]
    with pytest.raises(UserError, match="method mde: experts: 'single_domain' has no run on code alone"):
        registry.get("mde").weights(inputs)
    for params, message in (
        ({"regression": "forest"}, "method mde: regression: 'forest'"),
        ({"target": "news"}, "method mde: target: 'news'"),
        ({"candidates": 0}, "method mde: candidates"),
        ({"swarm": None}, "method mde: swarm"),
        ({"features": "losses"}, "method mde: features: 'losses' is not one of experts, log"),
    ):
        with pytest.raises(UserError, match=message):
            given(**params)
    assert registry.get("mde").foretell(given(target="code")[0], {"a": {"wiki": 1.0}}) == {}
