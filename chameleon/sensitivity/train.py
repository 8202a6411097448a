"""Trains the study's further proxies: a proxy like any other, which may also keep checkpoints of its way.

Reads token manifests and the tokenizer; writes into `sensitivity/proxies/{variant}/seed{n}/` what every
training leaves, and `model/checkpoints/step{n}/` for each step asked for.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.stages import common
from chameleon.stages.inputs import open_corpora
from chameleon.training.device import setup_torch
from chameleon.training.model import Decoder, save_pretrained

Spec = Mapping[str, Any]


def proxy(spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int) -> None:
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

    uniform = MixtureSchedule.static(dict.fromkeys(corpora, 1 / len(corpora)))
    run.play(uniform, watch={step: keeper(step) for step in spec["checkpoints"]})
    eot = next(iter(corpora.values())).eot
    common.finish(run, recorder, out, tokenizer, eot)
    for step, model in kept.items():
        save_pretrained(model, out / "model" / "checkpoints" / f"step{step}", eot)
    recorder.write(out / "run.json")
