"""The sensitivity study's numbers: its plan, distances, sources of variance, jackknife, averages."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
from docutils.core import publish_parts

from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment import study_settings as settings
from chameleon.experiment.load import load
from chameleon.experiment.specs import study
from chameleon.methods.chameleon import Chameleon
from chameleon.mixing.types import MethodInputs
from chameleon.reporting.statistics.stats import total_variation
from chameleon.sensitivity import catalogue
from chameleon.sensitivity.embed import unions
from chameleon.sensitivity.measure import distances, seed_distances, variance
from chameleon.sensitivity.spread import (
    disjoint,
    jackknife_sd,
    repetition,
    variance_components,
)
from chameleon.sensitivity.weigh import Weighed, affinity, weights_of

BLOCK = {
    "scenario": "toy",
    "ridges": [0.1, 100],
    "temperatures": [1, 20],
    "layers": "all",
    "windows": [2, 16],
    "window_lengths": [4],
    "window_seeds": 4,
    "proxy_steps": [2, 6],
    "proxy_scales": ["wide"],
    "proxy_seeds": 3,
    "variant_seeds": 1,
    "checkpoints": [0.5],
}


@pytest.fixture
def studied(raw):
    wide = copy.deepcopy(raw["scales"]["tiny"])
    wide["model"]["d_model"] = 32
    raw["scales"]["wide"] = wide
    raw["sensitivity"] = copy.deepcopy(BLOCK)
    return raw


def test_variants_and_their_seeds(studied):
    found = study.variants(load(studied))
    assert list(found) == ["default", "steps_2", "steps_6", "scale_wide"]
    assert found["default"].seeds == (0, 1, 2) and found["steps_2"].seeds == (0,)
    assert [v.steps for v in found.values()] == [4, 2, 6, 4], "size varies alone: the default's steps"


def test_a_shorter_proxy_differs_from_the_default_in_its_steps_alone(studied):
    cfg = load(studied)
    mine, usual = study.proxy(cfg, "steps_2", 1), specs.proxy(cfg, "toy", 1)
    assert mine["train"] == {**usual["train"], "steps": 2} and mine["seeds"] == usual["seeds"]
    assert mine["checkpoints"] == [1] and study.proxy(cfg, "scale_wide", 0)["checkpoints"] == []
    assert study.proxy(cfg, "scale_wide", 0)["model"]["d_model"] == 32


def test_models_that_the_experiment_trains_anyway_are_not_trained_again(studied):
    cfg = load(studied)
    assert study.model_folder(cfg, "default", 1) == "proxies/toy/seed1"
    assert study.model_folder(cfg, "scale_wide", 0) == "sensitivity/proxies/scale_wide/seed0"
    studied["scenarios"]["toy"]["base"] = {"scale": "wide", "steps": 4}
    assert study.model_folder(load(studied), "scale_wide", 0) == "runs/toy/uniform/seed0"
    for change in ({"max_epochs": 2}, {"base": {"scale": "wide"}}, {"methods": ["natural", "chameleon"]}):
        other = copy.deepcopy(studied)
        other["scenarios"]["toy"].update(change)
        assert study.borrowed(load(other), "scale_wide", 0) is None, change


def test_the_default_draw_is_the_pipelines(studied):
    cfg = load(studied)
    mine, theirs = study.embed(cfg, "default", 1), specs.embed(cfg, "proxy_toy", "left", 1)
    assert mine["seeds"]["1"] == theirs["seeds"]["windows"] and mine["windows"] == theirs["windows"]
    assert mine["draws"] == [0, 1, 2, 3] and mine["layers"] == [0, 1, 2] and mine["counts"] == [2, 8, 16]
    other = study.embed(cfg, "steps_2", 0)
    assert other["layers"] == [1] and other["counts"] == [8] and other["window_seeds"] == [0]


def test_a_proxy_seed_beyond_the_draws_keeps_its_own(studied):
    studied["sensitivity"] |= {"proxy_seeds": 3, "window_seeds": 2, "windows": [2]}
    spec = study.embed(load(studied), "default", 2)
    assert spec["draws"] == [0, 1] and spec["window_seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "other"}, "sensitivity.scenario: 'other'"),
        ({"method": "uniform"}, "sensitivity.method: 'uniform' is not one of chameleon"),
        ({"layers": [3]}, "sensitivity.layers: 3 is deeper than the proxy's 2 blocks"),
        ({"window_lengths": [17]}, "17 is longer than the proxy's context 16"),
        ({"windows": [12]}, "sensitivity.windows: 12 is neither below nor a multiple"),
        ({"windows": [40]}, "sensitivity.windows: 40 is neither"),
        ({"proxy_scales": ["huge"]}, "sensitivity.proxy_scales: 'huge'"),
        ({"window_seed": 3}, "unknown key 'window_seed'"),
        ({"ridges": [0]}, "sensitivity.ridges.0"),
    ],
)
def test_mistakes_in_the_block_are_one_line(studied, changes, message):
    studied["sensitivity"].update(changes)
    with pytest.raises(UserError) as error:
        load(studied)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_scenario_must_have_a_proxy_of_its_own(studied):
    studied["scenarios"]["other"] = copy.deepcopy(studied["scenarios"]["toy"]) | {"proxy": {"of": "toy"}}
    studied["run"] = ["toy", "other"]
    studied["sensitivity"]["scenario"] = "other"
    with pytest.raises(UserError, match="sensitivity.scenario: other has no proxy of its own"):
        load(studied)


def test_no_block_no_study(raw):
    assert settings.read(load(raw).raw) is None
    raw["sensitivity"] = None
    assert settings.read(load(raw).raw) is None


def test_seeds_are_extended_without_repeats():
    assert settings.extended([2, 0], 4) == [2, 0, 1, 3]
    assert settings.extended([5, 6, 7], 2) == [5, 6, 7] and settings.extended([1], None) == [1]


@pytest.mark.parametrize("mode", ["pretrain", "finetune"])
@pytest.mark.parametrize("switches", [{}, {"centre": False}, {"normalise": False}])
def test_weights_are_the_methods(mode, switches):
    x = np.random.default_rng(0).normal(size=(5, 8)) * 3
    names = tuple("abcde")
    params = {**Chameleon.defaults, "mode": mode, "temperature": 3.0, **switches}
    expected = Chameleon().weights(MethodInputs(names, dict.fromkeys(names, 1), params, 0, 1, embeddings=x))
    found = weights_of(affinity(x, params), params)
    np.testing.assert_array_equal(found, list(expected.schedule.stages[0].weights.values()))


def test_total_variation():
    assert total_variation(np.array([1, 0, 0]), np.array([0, 0.5, 0.5])) == 1
    assert total_variation(np.array([0.5, 0.5]), np.array([0.4, 0.6])) == pytest.approx(0.1)


def test_the_numbers_of_windows_are_parts_or_disjoint_unions_of_draws():
    found = unions([2, 8, 16, 24], 8, [0, 1, 2, 3, 4])
    assert found[:5] == [(2, [d]) for d in range(5)]
    assert found[5:] == [(16, [0, 1]), (16, [2, 3]), (24, [0, 1, 2])]


def simulated(sds, proxies, draws, k=3, seed=0):
    """Return P x W x k values with known standard deviations of proxy, windows and both."""
    rng = np.random.default_rng(seed)
    shapes = ((proxies, 1, k), (1, draws, k), (proxies, draws, k))
    return 0.3 + sum(sd * rng.normal(size=shape) for sd, shape in zip(sds, shapes, strict=True))


def test_components_of_variance_are_recovered():
    found = variance_components(simulated((0.05, 0.02, 0.01), 400, 300))
    for (name, variances), sd in zip(found.items(), (0.05, 0.02, 0.01), strict=True):
        np.testing.assert_allclose(np.sqrt(variances[:-1]), sd, rtol=0.15, err_msg=name)
        np.testing.assert_allclose(variances[-1], 3 * sd**2, rtol=0.25)


def test_components_that_are_not_there_are_zero():
    y = np.zeros((3, 4, 2)) + np.array([0.1, 0.2, 0.4])[:, None, None]
    found = variance_components(y)
    np.testing.assert_allclose(found["proxy"][:2], np.var([0.1, 0.2, 0.4], ddof=1))
    np.testing.assert_allclose(found["windows"], 0, atol=1e-18)
    np.testing.assert_allclose(found["both"], 0, atol=1e-18)


def test_repetition_is_the_mean_distance_of_two_draws():
    rng, sd = np.random.default_rng(1), np.array([0.03, 0.01, 0.02])
    a, b = rng.normal(0, sd, size=(2, 40000, 3))
    measured = np.abs(a - b).sum(axis=1).mean() / 2
    assert repetition(sd) == pytest.approx(measured, rel=0.01)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(size=(6, 4))
    found = jackknife_sd(lambda v: v.mean(axis=0), values)
    np.testing.assert_allclose(found, values.std(axis=0, ddof=1) / math.sqrt(6))


def test_disjoint_groups_share_no_member():
    values = np.eye(4)
    found = disjoint(lambda v: v.mean(axis=0), values, 2)
    assert found == [1.0, 1.0, 1.0], "3 ways to halve four; halves without common members are 1 apart"
    assert len(disjoint(lambda v: v.mean(axis=0), values, 1)) == 6


def weigh(factor, setting, proxy, draw, *weights):
    return Weighed(factor, setting, proxy, draw, np.array(weights))


def by_key(rows):
    return {(r[0], r[1], r[3]): r for r in rows}


DEFAULTS = {"ridge": "10", "windows": "8", "temperature": "5", "layer": "1", "window_length": "16",
            "proxy_steps": "4", "proxy_scale": "tiny"}  # fmt: skip


def test_distances_are_paired_by_proxy():
    rows = by_key(distances([
        weigh("ridge", "10", 0, 0, 0.5, 0.5), weigh("ridge", "10", 1, 1, 0.3, 0.7),
        weigh("ridge", "1", 0, 0, 0.6, 0.4), weigh("ridge", "1", 1, 1, 0.6, 0.4),
    ], DEFAULTS))  # fmt: skip
    moved = rows["ridge", "1", "to_default"]
    assert (
        moved[4] == pytest.approx((0.1 + 0.3) / 2)
        and moved[9] == 2
        and moved[7:9] == pytest.approx((0.1, 0.3))
    )
    assert rows["ridge", "10", "to_default"][4:6] == (0, 0) and rows["ridge", "10", "to_default"][2]
    assert rows["ridge", "1", "between_seeds"][4] == 0
    assert rows["ridge", "10", "between_seeds"][4:7] == (pytest.approx(0.2), None, None)
    assert rows["ridge", "1", "to_uniform"][4] == pytest.approx(0.1)


def test_fewer_windows_are_compared_over_other_draws_than_the_defaults():
    rows = by_key(distances([
        weigh("windows", "8", 0, 0, 0.5, 0.5), weigh("windows", "8", 0, 1, 0.6, 0.4),
        weigh("windows", "2", 0, 0, 0.9, 0.1), weigh("windows", "2", 0, 1, 0.7, 0.3),
        weigh("windows", "16", 0, 0, 0.55, 0.45),
    ], DEFAULTS))  # fmt: skip
    assert rows["windows", "2", "to_default"][4] == pytest.approx(0.2), "draw 0 is part of the default's"
    assert rows["windows", "8", "to_default"][4] == pytest.approx(0.1)
    assert rows["windows", "16", "to_default"][4] == pytest.approx(0.05)
    assert rows["windows", "2", "between_draws"][4] == pytest.approx(0.2)
    assert ("windows", "16", "between_draws") not in rows


def test_what_differs_between_two_seeds():
    crossed = [weigh("seed", str(d), p, d, 0.5 + 0.1 * p + 0.01 * d, 0.5 - 0.1 * p - 0.01 * d)
               for p in range(2) for d in range(2)]  # fmt: skip
    rows = {r[1]: r for r in seed_distances(crossed)}
    assert (
        rows["other proxy, same windows"][4] == pytest.approx(0.1)
        and rows["other proxy, same windows"][9] == 2
    )
    assert rows["same proxy, other windows"][4] == pytest.approx(0.01)
    assert rows["other proxy, other windows"][7:9] == pytest.approx((0.09, 0.11))
    shares = {(r[0], r[1]): r[3] for r in variance(crossed, ["a", "b"])}
    assert shares["all", "proxy"] == pytest.approx(0.1**2 / (0.1**2 + 0.01**2))


def test_every_table_and_figure_has_a_caption_and_a_place():
    report = Path(__file__).parents[2] / "workflow" / "report"
    names = [f"table_sensitivity_{t}" for t in catalogue.TABLES]
    names += [f"figure_sensitivity_{f}" for f in catalogue.FIGURES]
    assert {p.stem for p in report.glob("*_sensitivity_*.rst")} == set(names)
    for name in names:
        html = publish_parts((report / f"{name}.rst").read_text(encoding="utf-8"), writer="html")["body"]
        assert len(html) > 100 and "system-message" not in html
    shows = [catalogue.labels(name, "figure")["shows"] for name in catalogue.ORDER]
    assert shows == sorted(shows) and {*catalogue.TABLES, *catalogue.FIGURES} == set(catalogue.ORDER)
