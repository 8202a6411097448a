"""RegMix over very many domains: as many runs as are asked for, within the bounds, or a refusal before."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.methods.regression import mixtures
from chameleon.mixing import registry
from chameleon.mixing.registry import parameters


@pytest.mark.parametrize("k", [130, 168])
def test_so_many_domains_have_their_runs(k: int) -> None:
    """Draws hardly ever keep every weight below 15 times its share: all are made within the bounds."""
    names = tuple(f"d{i:03d}" for i in range(k))
    params = parameters("regmix", {"num_proxies": 64}, "x")
    method = registry.get("regmix")
    start = time.process_time()
    runs = method.extra_runs(names, params, 3)
    assert time.process_time() - start < 60
    weights = np.array([list(run.weights.values()) for run in runs])  # type: ignore[union-attr]
    assert weights.shape == (64, k) and len(np.unique(weights, axis=0)) == 64
    assert (weights <= 15 / k).all() and (weights >= 0).all() and np.allclose(weights.sum(axis=1), 1)
    # Spread out, not one mixture with noise; and no domain is favoured.
    assert (np.abs(weights - 1 / k).sum(axis=1) > 0.5).all()
    assert weights.mean(axis=0).max() < 4 / k
    if k == 130:
        assert runs == method.extra_runs(names, params, 3) != method.extra_runs(names, params, 4)


def test_where_draws_are_enough_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hard case that draws alone still solve: 64 of 38,400."""
    made: list[int] = []
    dirichlet = mixtures._dirichlet

    def counted(centre: Any, levels: Any, size: int, draw: Any) -> Any:
        made.append(size)
        return dirichlet(centre, levels, size, draw)

    monkeypatch.setattr(mixtures, "_dirichlet", counted)
    monkeypatch.delattr(mixtures, "mixtures_within")
    assert len(mixtures.swarm_mixtures(np.ones(100), 64, generator(0, "x"))) == 64
    assert sum(made) > 100 * 64


def test_bounds_that_only_the_prior_keeps_give_one_mixture() -> None:
    found = mixtures.swarm_mixtures(np.ones(5), 2, generator(0, "x"), maximum_usage=1.0)
    assert found.tolist() == [[0.2] * 5]


def test_fewer_mixtures_than_runs_are_refused_while_the_config_is_read(raw: dict[str, Any]) -> None:
    raw["scenarios"]["toy"]["methods"] = ["uniform", "regmix"]
    raw["method_params"] = {"regmix": {"num_proxies": 8, "maximum_usage": 1.0}}
    words = r"my\.yaml: scenarios\.toy\.methods: regmix: .*num_proxies: 8 .* only 1 different .*maximum_usage"
    with pytest.raises(UserError, match=words):
        load(raw, "my.yaml")


def test_the_command_of_a_job_stays_within_what_a_system_takes(raw: dict[str, Any], tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / f"a_domain_of_many_{i:03d}").mkdir()
        (tmp_path / f"a_domain_of_many_{i:03d}" / "a.txt").write_text("text")
    raw["corpora"]["right"] = {"kind": "local", "path": str(tmp_path)}
    raw["scenarios"]["toy"] |= {"methods": ["uniform", "regmix"]}
    raw["swarm"] = {"runs_per_job": 32}
    cfg = load(raw)
    groups = specs.swarm_groups(cfg, "toy", "regmix", 0)
    sizes = [len(specs.dump(specs.swarm(cfg, "toy", "regmix", 0, group))) for group in groups]
    assert sum(map(len, groups.values())) == 64 and max(sizes) < 120_000
    raw["scenarios"]["toy"]["corpora"] = ["left"]
    assert [len(g) for g in specs.swarm_groups(load(raw), "toy", "regmix", 0).values()] == [32, 32]


@pytest.mark.parametrize(
    "given",
    [
        {"num_proxies": 10**9},
        {"candidates": 10**9},
        {"temperature": 1e308},
        {"prior": {"twin_one": 1e308, "unique": 1e308, "blend": 1e308}},
    ],
)
def test_numbers_that_no_memory_holds_are_refused(raw: dict[str, Any], given: dict[str, Any]) -> None:
    raw["scenarios"]["toy"]["methods"] = ["uniform", "regmix"]
    raw["method_params"] = {"regmix": given}
    with pytest.raises(UserError, match=f"regmix: {next(iter(given))}: "):
        load(raw)
