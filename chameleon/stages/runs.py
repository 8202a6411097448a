"""The jobs that train a model: proxies, the runs that methods ask for, base models.

Each turns a spec and files into artefacts, with a run record beside them; the swarm has a file of its own.
Of several processes that train one model, all do the same up to its end, and the first writes.
"""

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch.nn.utils import parameters_to_vector

from chameleon.core.artifacts import write_json
from chameleon.core.provenance import Cost, Recorder
from chameleon.core.tensors import write_tensors
from chameleon.data.tokens import TokenCorpus
from chameleon.mixing import registry
from chameleon.mixing.method import Controller, LeavesTensors, Objective
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixing.types import OBJECTIVE_TENSORS, REFERENCE, RunInputs, RunResult, RunSpec
from chameleon.stages.common import (
    Spec,
    clock,
    finish,
    load_model,
    split_losses,
    states_of,
    training,
    validated,
)
from chameleon.stages.inputs import (
    method_inputs,
    open_corpora,
    read_weights,
    result_files,
    run_results,
    streams,
)
from chameleon.training.device import setup_torch
from chameleon.training.hf.checkpoint import provide
from chameleon.training.hf.decoder import HfDecoder
from chameleon.training.loop import Training
from chameleon.training.model import Decoder
from chameleon.training.resume.states import Carried


def checkpoint(spec: Spec, tokenizer: Path, out: Path) -> None:
    """Bring a checkpoint into the results, as one folder that every other job reads."""
    recorder = Recorder("checkpoint", spec, [tokenizer / "tokenizer.json"])
    folder, temporary = out / "model", out / ".model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    shape = provide(spec["checkpoint"], spec["model"], tokenizer, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    recorder.outputs = [folder]
    recorder.extra["parameters"] = shape.parameters
    recorder.write(out / "run.json")


def proxy(
    spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int, states: str = "never"
) -> None:
    """Train the uniform proxy of a scenario and seed; `states` says how often its state is saved.

    One of the sensitivity study may keep checkpoints of its way; they change nothing in its training.
    """
    stage = "sensitivity_proxy" if "checkpoints" in spec else "proxy"
    recorder = Recorder(stage, spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    run = training(spec, corpora)
    saved, kept, carried = states_of(recorder, out, states), Kept(run), {"clock": clock(recorder)}
    if "checkpoints" in spec:
        carried["kept"] = Carried(kept.state, kept.restore)
    uniform = MixtureSchedule.static(dict.fromkeys(corpora, 1 / len(corpora)))
    watch = {step: partial(kept.keep, step) for step in spec.get("checkpoints", ())}
    run.play(uniform, watch=watch, states=saved, carried=carried)
    if not run.ranks.main:
        return
    eot = next(iter(corpora.values())).eot
    finish(run, recorder, out, tokenizer, eot)
    for step, model in kept.models.items():
        model.save(out / "model" / "checkpoints" / f"step{step}", eot)
    recorder.write(out / "run.json")
    saved.clear()


@dataclass
class Kept:
    """Copies of a run's model, by the step after which each was taken."""

    run: Training
    models: dict[int, Decoder] = field(default_factory=dict)

    def keep(self, step: int, model: Decoder, trained: int) -> None:
        self.models[step] = copy.deepcopy(model)

    def state(self) -> dict[int, Any]:
        return {step: dict(model.named_parameters()) for step, model in self.models.items()}

    def restore(self, state: Mapping[int, Any]) -> None:
        for step, weights in state.items():
            self.models[step] = copy.deepcopy(self.run.model)
            self.models[step].load_state_dict(weights, strict=False)


def _moved(start: Decoder, model: Decoder) -> float:
    """Return ‖θ − θ_b‖ / (‖θ‖ + ‖θ_b‖) of two models of one shape."""
    before, after = (parameters_to_vector(m.parameters()).detach().double().cpu() for m in (start, model))
    return float((after - before).norm() / (after.norm() + before.norm()))


def extra_run(
    spec: Spec,
    manifests: list[Path],
    tokenizer: Path,
    out: Path,
    threads: int,
    after: Sequence[Path] = (),
    reference: Path | None = None,
    states: str = "never",
) -> None:
    """Train one of a method's extra runs and write its validation losses and its objective's outcome.

    Args:
        spec: as `specs.extra_run` makes it.
        after: folders of the runs that this one waited for.
        reference: folder of the scenario's uniform proxy, for a run that asked for it.
        states: how often the run's state is saved.
    """
    read = [*manifests, *(d / "result.json" for d in after)]
    folders = {folder.name: folder for folder in after}
    if reference is not None:
        folders[REFERENCE] = reference
        read.append(reference / "model" / "model.safetensors")
    start = folders[spec["start"]] / "model" if "start" in spec else None
    if start is not None and spec["start"] != REFERENCE:
        read.append(start / "model.safetensors")
    recorder = Recorder("extra", spec, read, threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    weights, objective = spec["weights"], None
    if (own := spec["own"]) is not None:
        method = registry.get(own["registered"])
        earlier = run_results(after)
        if reference is not None:
            # The proxy stage measures no validation losses: none are needed of it.
            uniform = dict.fromkeys(corpora, 1 / len(corpora))
            earlier[REFERENCE] = RunResult(uniform, {}, reference / "model")
        run_spec = RunSpec(
            spec["run"], weights, own["steps"], after=tuple(own["after"]), objective=own["objective"]
        )
        counts = {d: len(s) for d, s in streams(corpora, "train").items()}
        inputs = RunInputs(run_spec, tuple(corpora), counts, own["params"], own["method_seed"], earlier)
        if weights is None:
            weights = method.run_weights(inputs)
        if own["objective"]:
            objective = method.objective(inputs)
    run = training(spec, corpora, start=None if start is None else load_model(start))
    kept = states_of(recorder, out, states)
    run.play(
        MixtureSchedule.static(weights), objective=objective, states=kept, carried={"clock": clock(recorder)}
    )
    result = validated(run.model, corpora, spec, recorder.cost)
    left = objective.tensors(run.model) if isinstance(objective, LeavesTensors) else None
    if not run.ranks.main:
        return
    finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    if left is not None:
        write_tensors(left, out / "model" / OBJECTIVE_TENSORS, {})
    if start is not None:
        result["moved"] = round(_moved(load_model(start), run.model), 9)
    outcome = {} if objective is None else objective.outcome()
    write_json(out / "result.json", {"weights": weights, "outcome": outcome, **result})
    recorder.outputs.append(out / "result.json")
    recorder.write(out / "run.json")
    kept.clear()


def train(
    spec: Spec,
    manifests: list[Path],
    weights_file: Path,
    tokenizer: Path,
    out: Path,
    threads: int,
    embeddings: Sequence[Path] = (),
    runs: Sequence[Path] = (),
    others: Sequence[Path] = (),
    start: Path | None = None,
    states: str = "never",
) -> None:
    """Train a base model under a method's schedule, or under its controller if the method is online.

    Embeddings, extra runs and other methods' weights are for an online method's controller only. The learning
    curve of a checkpoint begins before its first step.

    Args:
        spec: as `specs.train` makes it.
        start: checkpoint to go on from (finetuning); None: from the seed's initial weights.
        states: how often the run's state is saved.
    """
    inputs_read = [*manifests, weights_file, *embeddings, *result_files(runs), *others]
    if start is not None:
        inputs_read.append(start / "model.safetensors")
    recorder = Recorder("base", spec, inputs_read, threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    schedule = read_weights(weights_file, corpora)
    model = None if start is None else load_model(start)
    if isinstance(model, HfDecoder) and "lora" in spec:
        model.adapt(**spec["lora"], seed=spec["seeds"]["init"])
    run = training(spec, corpora, start=model)
    controller: Controller | None = None
    validate: Callable[[Decoder], dict[str, float]] | None = None
    ordered = Cost()
    if spec["online"] is not None:
        online = spec["online"]
        seeds, reads = {"method": online["method_seed"]}, online.get("reads", [])
        asked = {**spec, "params": online["params"], "seeds": seeds, "reads": reads}
        inputs = method_inputs(asked, corpora, embeddings, runs, others)
        inputs = replace(inputs, start=dict(schedule.stages[0].weights))
        controller = registry.get(online["registered"]).controller(inputs)

        def validate(model: Decoder) -> dict[str, float]:
            return split_losses(model, corpora, "validation", online["validation_tokens"], ordered)

    curve = Curve(corpora, spec["curve"]["tokens"])
    if model is not None and "checkpoint" in spec["start"] and spec["curve"]["steps"]:
        curve.measure(model, 0)
    kept = states_of(recorder, out, states)
    paid = Carried(lambda: asdict(ordered), lambda state: ordered.__init__(**state))  # type: ignore[misc]
    run.play(
        schedule,
        controller,
        validate,
        watch=dict.fromkeys(spec["curve"]["steps"], curve.measure),
        states=kept,
        carried={"clock": clock(recorder), "curve": Carried(curve.state, curve.restore), "ordered": paid},
    )
    if not run.ranks.main:
        return
    write_json(out / "curve.json", {"points": curve.points, "tokens_per_domain": curve.tokens})
    recorder.outputs.append(out / "curve.json")
    recorder.extra |= {"curve_cost": asdict(curve.cost), "validation_cost": asdict(ordered)}
    if "lora" in spec:
        recorder.extra["trained_parameters"] = sum(p.numel() for p in run.model.parameters())
    if isinstance(controller, Objective):
        recorder.extra["controller"] = controller.outcome()
    finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    recorder.write(out / "run.json")
    kept.clear()


@dataclass
class Curve:
    """Test losses along a base run: the first `tokens` tokens of every domain's test split.

    For readers only: no method sees them. Learning rates still fall after a point before the last, so it is
    not what a shorter run would have ended at.
    """

    corpora: Mapping[str, TokenCorpus]
    tokens: int
    cost: Cost = field(default_factory=Cost)
    points: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, model: Decoder, trained: int) -> None:
        losses = split_losses(model, self.corpora, "test", self.tokens, self.cost)
        self.points.append({"tokens": trained, "loss": {d: round(x, 9) for d, x in losses.items()}})

    def state(self) -> dict[str, Any]:
        return {"points": self.points, "cost": asdict(self.cost)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.points, self.cost = list(state["points"]), Cost(**state["cost"])
