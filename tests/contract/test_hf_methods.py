"""Every kind of method on a llama from scratch, cut off and gone on with; and the swarm, one at a time."""

import json

import pytest
from contract.test_resume import Killed, config, contents, kill, play  # noqa: F401  (a fixture among them)
from hf_configs import of_llama

from chameleon.core.artifacts import read_json
from chameleon.experiment import specs
from chameleon.stages.swarm import swarm

#: One of every kind: gradients by domain, a reference model, merged models, steps taken back,
#: gradients of a base run, an online one, hidden states, a swarm.
METHODS = ("doge", "doremi", "regmean", "datamodel", "pike", "aioli", "chameleon", "regmix")


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_the_same_bytes(method, raw, toy, tmp_path, kill):  # noqa: F811
    cfg = config(of_llama(raw), method)
    play(cfg, toy, tmp_path / "whole", method, lambda job, *args, **more: job(*args, **more))

    def cut(job, *args, **more):
        kill(1)
        with pytest.raises(Killed):
            job(*args, **more, states="3steps")
        kill(0)
        job(*args, **more, states="3steps")

    play(cfg, toy, tmp_path / "cut", method, cut)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    weights = json.loads((tmp_path / "whole" / "weights.json").read_text())["stages"][0]["weights"]
    assert set(weights) == set(cfg.domains("toy")) and sum(weights.values()) == pytest.approx(1)
    made = read_json(tmp_path / "whole" / "run" / "model" / "config.json")
    assert made["model_type"] == "llama" and made["eos_token_id"] == made["bos_token_id"] == 0


def test_a_swarm_is_trained_one_at_a_time_and_its_record_says_so(raw, toy, tmp_path):
    cfg = config(of_llama(raw), "regmix")
    spec = specs.swarm(cfg, "toy", "regmix", 0, "part0")
    found = []
    for stack in (1, 4):
        out = tmp_path / str(stack) / "part0.json"
        swarm(spec, toy.manifests, out, 1, stack)
        found.append((out.read_bytes(), read_json(out.with_suffix(".run.json"), "run")))
    (alone, plain), (asked, said) = found
    assert alone == asked and "stacking" not in plain and said["engine"]["stack"] == 1
    assert said["stacking"] == "models of transformers are trained one at a time"
