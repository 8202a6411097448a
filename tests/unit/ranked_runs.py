"""Small runs that one process plays and several do; `python ranked_runs.py FOLDER` is a rank of these.

Rank 0 leaves what came out in FOLDER/{case}.pt. What FOLDER/states holds is gone on from, FOLDER/theirs gets
runs that were cut off, and the proxy of FOLDER/job.json is trained into FOLDER/rank{n}.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import plain_runs
import tiny_checkpoints
import torch
from plain_runs import MIXTURE

from chameleon.core.artifacts import read_json
from chameleon.core.errors import Interrupted
from chameleon.evaluation.perplexity import block_losses
from chameleon.methods.gradients.in_run import InRunShapley
from chameleon.methods.gradients.reversal import Movements
from chameleon.methods.reweighting.doge import DogeObjective
from chameleon.methods.reweighting.doremi import DoremiObjective
from chameleon.mixing import registry
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixing.types import MethodInputs
from chameleon.stages import runs
from chameleon.training import launch
from chameleon.training.distributed import replicas
from chameleon.training.distributed.ranks import here
from chameleon.training.hf.building import drawn
from chameleon.training.hf.decoder import shape_of
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.resume.states import Every, States

SHAPE = ModelShape(2, 2, 16, 16, 64)
STEPS = 8
#: Where runs are cut off.
CUT = 5


#: Of a model of transformers.
LLAMA = tiny_checkpoints.CONFIGS["llama"].to_dict() | {"vocab_size": plain_runs.VOCABULARY}


def training(size=6, parts=1, steps=STEPS, shape=SHAPE, **recipe):
    run = plain_runs.training(shape, steps, size, parts)
    run.recipe = replace(run.recipe, **recipe)
    return run


def validate(model):
    """Share the blocks among the ranks, as `stages.common.measured_blocks` does."""
    ranks, found = replicas.among(model), {}
    for i, domain in enumerate(MIXTURE):
        stream = plain_runs.Numbers(50 + i)
        ids = np.stack([stream.read(j * 16, j * 16 + 17) for j in range(5)])
        losses = torch.from_numpy(block_losses(model, ranks.share(ids)))
        found[domain] = float(ranks.gathered(losses, len(ids)).mean())
    return found


def online(name, **params):
    method = registry.get(name)
    inputs = MethodInputs(tuple(MIXTURE), dict.fromkeys(MIXTURE, 2000), {**method.defaults, **params}, 7, 24)
    return {"controller": method.controller(inputs), "validation_losses": validate}


def doge(**options):
    return {"objective": DogeObjective(list(MIXTURE), **options)}


def doremi():
    return {"objective": DoremiObjective(list(MIXTURE), None, reference=Decoder(SHAPE).initialise(3))}


def llama(**recipe):
    return training(7, 2, shape=shape_of(drawn(LLAMA, 0), SHAPE.context), **recipe)


AIOLI = {"lp_steps": 1, "update_steps": 12}
#: Name -> a run, and what it is played with.
CASES = {
    "plain": lambda: (training(), {}),
    "muon": lambda: (training(optimizer="muon"), {}),
    "odd batch in parts": lambda: (training(7, 4), {}),
    "a rank without blocks": lambda: (training(1), {}),
    "doge": lambda: (training(), doge()),
    "doge in parts": lambda: (training(7, 3), doge()),
    "doge, the batch's own blocks": lambda: (training(7), doge(target_batch="same")),
    "doge with a block": lambda: (training(1), doge(target_batch="same")),
    "doremi": lambda: (training(), doremi()),
    "doremi with a block": lambda: (training(1), doremi()),
    "doremi in parts": lambda: (training(7, 3), doremi()),
    "in-run shapley": lambda: (training(7), {"objective": InRunShapley(list(MIXTURE))}),
    "reversal": lambda: (training(7, 2), {"objective": Movements(list(MIXTURE))}),
    "aioli": lambda: (training(steps=24), online("aioli", **AIOLI)),
    "odm": lambda: (training(7, 2), online("odm", update_steps=2)),
    "odm with a block": lambda: (training(1), online("odm", update_steps=2)),
    "pike": lambda: (training(7, 2), online("pike", update_steps=2)),
    "rnb": lambda: (training(7, 2), online("rnb", update_steps=2)),
    "llama": lambda: (llama(), {}),
    "doge of a llama": lambda: (llama(), doge()),
    "pike of a llama": lambda: (llama(), online("pike", update_steps=2)),
    "sharded llama": lambda: (llama(shard=True), {}),
    "sharded": lambda: (training(shard=True), {}),
    "sharded in parts": lambda: (training(7, 4, shard=True, activation_checkpointing=True), {}),
    "sharded, a rank without blocks": lambda: (training(1, shard=True), {}),
    "sharded aioli": lambda: (training(steps=24, shard=True), online("aioli", **AIOLI)),
}
#: Those that are cut off by one number of ranks and ended by another.
RESUMED = ("plain", "muon", "doge", "rnb", "reversal", "sharded")


def play(name, states=None, cut=False):
    """Play a case; return what came out, None if it was cut off."""
    run, options = CASES[name]()

    def stop(model, tokens):
        raise Interrupted("here")

    kept = None if states is None else States(states / name, {}, Every.parse("1steps"))
    try:
        run.play(
            MixtureSchedule.static(MIXTURE), **options, states=kept, watch={CUT + 1: stop} if cut else None
        )
    except Interrupted:
        return None
    part = options.get("objective")
    return {
        "rows": np.array(run.rows),
        "segments": run.segments,
        # The gradient of a key's bias is nothing but rounding, which Adam makes steps of.
        "weights": {n: p.detach() for n, p in run.model.named_parameters() if "qkv.bias" not in n},
        "outcome": part.outcome() if part is not None else {},
        "tensors": part.tensors(run.model) if isinstance(part, Movements) else {},
    }


def main(folder):
    """Be one rank."""
    with launch.joined(int(os.environ["WORLD_SIZE"])):
        found = {name: play(name) for name in CASES}
        for name in RESUMED:
            found[f"{name}, gone on"] = play(name, folder / "states")
            play(name, folder / "theirs", cut=True)
        # Every rank with a folder of its own: only the first one's may be written.
        job = read_json(folder / "job.json")
        own = folder / f"rank{here().rank}"
        manifests = [Path(m) for m in job["manifests"]]
        runs.proxy(job["spec"], manifests, Path(job["tokenizer"]), own, 1, "2steps")
        if here().main:
            for name, one in found.items():
                torch.save(one, folder / f"{name}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
