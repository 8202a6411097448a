"""The `swarm` job: one worker's share of a method's many small runs, in one process.

Start-up is paid once, every run's result is kept as it comes, and a job that was cut off goes on with the
runs that are missing.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chameleon.core.artifacts import fingerprint, read_json, write_json
from chameleon.core.provenance import Cost, Recorder
from chameleon.data.tokens import TokenCorpus
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.stages.common import Spec, states_of, training, validated
from chameleon.stages.inputs import open_corpora, streams
from chameleon.training.device import setup_torch
from chameleon.training.engine import Engine
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.progress import Progress
from chameleon.training.recipe import Recipe
from chameleon.training.resume.states import Carried, States
from chameleon.training.stacked import Stack


def swarm(
    spec: Spec, manifests: list[Path], out: Path, threads: int, stack: int = 1, states: str = "never"
) -> None:
    """Train one worker's share of a swarm, `stack` small models at a time, and write their losses.

    What is done is kept in `parts/` beside `out` and taken from there when the job starts again.

    Args:
        spec: as `specs.swarm` makes it.
        stack: models trained as one batched model; 1: one after the other.
        states: how often the state of what is being trained is saved.
    """
    recorder = Recorder("swarm", spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    common = {key: value for key, value in spec.items() if key not in ("runs", "group")}
    made_from = sorted(corpus.sha256 for corpus in corpora.values())
    keys = {name: fingerprint([common, weights, made_from]) for name, weights in spec["runs"].items()}
    parts = {name: out.parent / "parts" / f"{name}.json" for name in keys}
    found = {name: read_json(path) for name, path in parts.items() if path.exists()}
    found = {name: part for name, part in found.items() if part.get("key") == keys[name]}
    recorder.earlier_seconds = sum(part["cost"]["seconds"] for part in found.values())
    missing = [name for name in keys if name not in found]
    progress = Progress(f"{spec['scenario']} {spec['method']} swarm {spec['seed']}", len(keys))
    if stack > 1 and "kind" in spec["model"]:
        recorder.extra["stacking"] = "models of transformers are trained one at a time"
        stack = 1
    for start in range(0, len(missing), stack):
        names = missing[start : start + stack]
        clock = _Clock()
        saved = states_of(recorder, out.parent / "parts" / "-".join(names[:: max(1, len(names) - 1)]), states)
        for name, model, cost, form in _trained(spec, corpora, names, saved, clock):
            recorder.extra["engine"] = {**asdict(form), "stack": stack}
            result = validated(model, corpora, spec, cost)
            found[name] = {"key": keys[name], "weights": spec["runs"][name], **result}
            found[name]["cost"] = {"tokens": cost.tokens, "flops": cost.flops}
        seconds = clock.elapsed() / len(names)
        for name in names:
            found[name]["cost"]["seconds"] = seconds
            write_json(parts[name], found[name])
        saved.clear()
        progress.update(len(found), found[names[-1]]["mean_log_perplexity"])
    progress.close()
    for part in found.values():
        recorder.cost.add(part["cost"]["tokens"], part["cost"]["flops"])
    runs = {name: {k: v for k, v in found[name].items() if k not in ("key", "cost")} for name in keys}
    recorder.deliver(out, {"runs": runs})


@dataclass
class _Clock:
    """Seconds that runs have taken, those of a process that was cut off included."""

    before: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    def elapsed(self) -> float:
        return self.before + time.perf_counter() - self.start

    def go_on_from(self, seconds: float) -> None:
        self.before = seconds


def _trained(
    spec: Spec, corpora: Mapping[str, TokenCorpus], names: Sequence[str], states: States, clock: _Clock
) -> Iterator[tuple[str, Decoder, Cost, Engine]]:
    """Train runs of a swarm, as one batched model if there are several; yield each, its cost and its form."""
    carried = {"clock": Carried(clock.elapsed, clock.go_on_from)}
    if len(names) == 1:
        run = training(spec, corpora, quiet=True)
        schedule = MixtureSchedule.static(spec["runs"][names[0]])
        run.play(schedule, states=states, carried=carried)
        yield names[0], run.model, run.cost, run.engine
        return
    vocab = next(iter(corpora.values())).vocab_size
    stack = Stack(
        shape=ModelShape(**spec["model"], vocab_size=vocab),
        recipe=Recipe(**spec["train"]),
        streams=streams(corpora, "train"),
        init_seed=spec["seeds"]["init"],
        data_seed=spec["seeds"]["data"],
        mixtures=[spec["runs"][name] for name in names],
        max_epochs=spec["max_epochs"],
    )
    stack.play(states, carried)
    for number, name in enumerate(names):
        yield name, stack.model(number), stack.costs[number], stack.engine
