"""What R&B's and PiKE's controllers have in common: the start, the order of domains, the record."""

import numpy as np
import pytest
from synthetic_gradients import fed, inputs, play

from chameleon.core.artifacts import read_json
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.mixing.types import TrainingState
from chameleon.stages import runs, weighting

THREE = ("code", "papers", "web")
every = pytest.mark.parametrize("name", ["pike", "rnb"])


def gradient(domain, step):
    return np.random.default_rng([len(domain), step]).normal(size=9)


@every
def test_without_a_step_it_plays_the_start(name):
    """As `chameleon plan` does, which trains nothing."""
    controller, step, realised = fed(registry.get(name).controller(inputs(name, THREE))), 0, {}
    while step < 300:
        length, weights = controller.next_segment(TrainingState(step, 300, THREE, dict, realised))
        assert weights == pytest.approx(dict.fromkeys(THREE, 1 / 3))
        realised, step = dict.fromkeys(THREE, 1), step + length
    assert len(controller.outcome()["updates"]) == 29 and controller.extra_flops == 0


@every
def test_the_order_of_domains_plays_no_part(name):
    one, other = (play(inputs(name, order), name, gradient) for order in (THREE, THREE[::-1]))
    assert one[0] == other[0] and one[1].history == other[1].history


@every
@pytest.mark.parametrize("total", [1, 3, 77])
def test_one_domain(name, total):
    segments, _ = play(inputs(name, ("web",), total), name, gradient)
    assert all(w == {"web": 1.0} for _, w in segments) and sum(s for s, _ in segments) == total


@every
def test_the_run_keeps_what_was_measured(name, raw, toy, tmp_path):
    raw["scenarios"]["toy"]["methods"] = ["uniform", name]
    raw["method_params"] = {name: {"update_steps": 2}}
    cfg, weights = load(raw), tmp_path / "weights.json"
    weighting.weights(specs.weights(cfg, "toy", name, 0), toy.manifests, [], [], weights, 1)
    runs.train(specs.train(cfg, "toy", name, 0), toy.manifests, weights, toy.tokenizer, tmp_path / "run", 1)
    record = read_json(tmp_path / "run" / "run.json")
    updates = record["controller"]["updates"]
    assert [one["step"] for one in updates] == [2, 4, 6]
    segments = read_json(tmp_path / "run" / "mixture.json")["segments"]
    assert len(segments) == 4 and len({tuple(s["weights"].values()) for s in segments}) > 1
