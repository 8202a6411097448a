"""Trains the study's further proxies: a proxy like any other, which may also keep checkpoints of its way.

Reads token manifests and the tokenizer; writes into `sensitivity/proxies/{variant}/seed{n}/` what every
training leaves, and `model/checkpoints/step{n}/` for each step asked for.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from chameleon.core.provenance import Recorder
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.stages import common
from chameleon.stages.inputs import open_corpora
from chameleon.training.device import setup_torch
from chameleon.training.model import Decoder
from chameleon.training.resume.states import Carried

Spec = Mapping[str, Any]


def proxy(
    spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int, states: str = "never"
) -> None:
    """Train one proxy on the uniform mixture; the checkpoints change nothing in its training."""
    recorder = Recorder("sensitivity_proxy", spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    run = common.training(spec, corpora)
    kept: dict[int, Decoder] = {}

    def keeper(step: int) -> Any:
        def keep(model: Decoder, tokens: int) -> None:
            kept[step] = copy.deepcopy(model)

        return keep

    def weights() -> dict[int, Any]:
        return {step: dict(model.named_parameters()) for step, model in kept.items()}

    def restore(state: Mapping[int, Any]) -> None:
        for step, saved in state.items():
            kept[step] = copy.deepcopy(run.model)
            with torch.no_grad():
                for name, p in kept[step].named_parameters():
                    p.copy_(saved[name])

    uniform = MixtureSchedule.static(dict.fromkeys(corpora, 1 / len(corpora)))
    saved = common.states_of(recorder, out, states)
    run.play(
        uniform,
        watch={step: keeper(step) for step in spec["checkpoints"]},
        states=saved,
        carried={"clock": common.clock(recorder), "kept": Carried(weights, restore)},
    )
    eot = next(iter(corpora.values())).eot
    common.finish(run, recorder, out, tokenizer, eot)
    for step, model in kept.items():
        model.save(out / "model" / "checkpoints" / f"step{step}", eot)
    recorder.write(out / "run.json")
    saved.clear()
