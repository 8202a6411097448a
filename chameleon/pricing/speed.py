"""How fast this machine trains: some seconds of real steps at every scale, on as many cores as jobs run.

`measure` starts one worker per job slot, because jobs side by side share the memory's bandwidth; each
worker runs this module. Objectives of methods are measured too: what they compute beyond a plain step is
theirs to know.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

Spec = Mapping[str, Any]

#: Seconds of steps that one measurement lasts, and steps before its clock starts.
SECONDS, WARM = 1.5, 3
#: A scale whose step would take longer on a CPU is not measured; it takes the speed of the largest that was.
LONGEST_STEP = 20.0
#: Operations per second of one core, where nothing is measured and nothing given: `cpu` on the machine of
#: docs/DECISIONS.md (its step runs at 36 GFLOP/s alone).
DEFAULT_FLOPS = 3.0e10


@dataclass
class Speed:
    """Operations per second of one job.

    Attributes:
        train, forward: by scale, in training and in passes without gradients.
        objectives: by key, the seconds of a step under a method's objective in those of a plain one.
        objective_flops: the same for operations.
        start: seconds of a job that imports torch, before its work; None: as assumed.
        origin: where the numbers come from, for the reader.
    """

    train: dict[str, float] = field(default_factory=dict)
    forward: dict[str, float] = field(default_factory=dict)
    objectives: dict[str, float] = field(default_factory=dict)
    objective_flops: dict[str, float] = field(default_factory=dict)
    start: float | None = None
    origin: str = ""


class Timed(NamedTuple):
    """Seconds per step of a short training, the training, and its objective."""

    seconds: float
    training: Any
    objective: Any


def given(flops: float, scales: Mapping[str, Any]) -> Speed:
    """Return one speed for everything."""
    return Speed(
        dict.fromkeys(scales, flops), dict.fromkeys(scales, flops), origin=f"{flops:.3g} FLOP/s a job"
    )


class RandomStream:
    """Stands for a token stream: random ids, as long as asked for."""

    def __init__(self, vocab: int) -> None:
        import numpy as np

        self.ids = np.random.default_rng(0).integers(vocab, size=1 << 20)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> Any:
        return self.ids[start:stop]


def measure(
    scales: Mapping[str, Any], vocab: int, threads: int, slots: int, objectives: Sequence[Spec]
) -> Speed:
    """Measure all scales and objectives on `slots` workers at once; return the mean of the workers.

    Args:
        scales: name -> {model, train} of the scales that the experiment uses.
        vocab: size of the vocabulary.
        threads: of one training job.
        slots: jobs that run side by side.
        objectives: as `objectives.objective_runs` yields them.
    """
    task = json.dumps({"scales": scales, "vocab": vocab, "threads": threads, "objectives": objectives})
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "chameleon.pricing.speed"]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(slots)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(task)
        worker.stdin.close()
    answers = []
    for worker in workers:
        assert worker.stdout is not None
        answers.append(worker.stdout.read())
        if worker.wait() != 0:
            raise RuntimeError("the benchmark of training steps failed; its message stands above")
    found = [Speed(**json.loads(answer.splitlines()[-1])) for answer in answers]
    side = "one job alone" if slots == 1 else f"{slots} jobs side by side"
    return Speed(
        train=_mean([f.train for f in found]),
        forward=_mean([f.forward for f in found]),
        objectives=_mean([f.objectives for f in found]),
        objective_flops=found[0].objective_flops,
        start=sum(f.start or 0 for f in found) / slots,
        origin=f"measured here, {side}",
    )


def _mean(values: list[dict[str, float]]) -> dict[str, float]:
    return {key: sum(v[key] for v in values) / len(values) for key in values[0]}


def clock() -> float:
    """Return seconds; the processor's own on a CPU, so that others' load on this machine is not priced."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def _timed(scale: Spec, vocab: int, domains: list[str], make: Callable[[], Any] | None = None) -> Timed:
    """Return what a short training took; `make` makes the objective of each, None: the plain loss."""
    from chameleon.mixing.schedule import MixtureSchedule
    from chameleon.training.hf.scratch import shape
    from chameleon.training.loop import Training
    from chameleon.training.recipe import Recipe

    streams: Any = dict.fromkeys(domains, RandomStream(vocab))
    even = MixtureSchedule.static(dict.fromkeys(domains, 1 / len(domains)))

    def run(steps: int) -> Timed:
        recipe = Recipe(**{**scale["train"], "steps": steps + WARM})
        training = Training(shape(scale["model"], vocab), recipe, streams, 0, 0, label="")
        objective = None if make is None else make()
        began: list[float] = []
        training.play(even, objective=objective, watch={WARM: lambda *_: began.append(clock())})
        return Timed((clock() - began[0]) / steps, training, objective)

    first = run(2)
    steps = min(500, int(SECONDS / first.seconds))
    return run(steps) if steps > 2 else first


def worker(task: Mapping[str, Any]) -> Speed:
    """Measure in this process."""
    import numpy as np

    from chameleon.core.provenance import git_state
    from chameleon.evaluation.perplexity import block_losses
    from chameleon.stages import common, measure, runs  # noqa: F401  (what a job imports)
    from chameleon.training.device import pick_device, setup_torch
    from chameleon.training.hf import scratch
    from chameleon.training.model import flops_per_token

    setup_torch(task["threads"])
    git_state()
    # All that the process has done so far is what a job does before its work.
    found = Speed(start=time.process_time())
    slow = pick_device().type == "cpu"
    seconds: dict[str, float] = {}
    for name, scale in sorted(task["scales"].items(), key=lambda item: item[1]["model"]["d_model"]):
        shape = scratch.shape(scale["model"], task["vocab"])
        tokens = scale["train"]["batch_size"] * shape.context
        best = max(found.train.values(), default=DEFAULT_FLOPS)
        if slow and flops_per_token(shape) * tokens / best > LONGEST_STEP:
            found.train[name] = best
            found.forward[name] = max(found.forward.values(), default=best)
            continue
        timed = _timed(scale, task["vocab"], ["a", "b"])
        seconds[name], training = timed.seconds, timed.training
        found.train[name] = flops_per_token(shape) * tokens / seconds[name]
        data = np.stack([RandomStream(task["vocab"]).read(i, i + shape.context + 1) for i in range(16)])
        block_losses(training.model, data)
        began, passes = clock(), 0
        while clock() - began < SECONDS / 2:
            block_losses(training.model, data)
            passes += 1
        done = flops_per_token(shape, training=False) * passes * data.shape[0] * shape.context
        found.forward[name] = done / (clock() - began)
    for spec in task["objectives"]:
        if spec["scale"] in seconds:
            key = spec["key"]
            found.objectives[key], found.objective_flops[key] = _objective(
                spec, task["vocab"], seconds[spec["scale"]]
            )
    return found


def _objective(spec: Spec, vocab: int, plain: float) -> tuple[float, float]:
    """Return seconds and operations of a step under a method's objective, in those of a plain step."""
    from chameleon.mixing import registry
    from chameleon.mixing.types import RunInputs, RunResult, RunSpec
    from chameleon.training.hf import scratch
    from chameleon.training.model import flops_per_token

    own, domains, shape = spec["own"], spec["domains"], scratch.shape(spec["model"], vocab)
    even = dict.fromkeys(domains, 1 / len(domains))
    with tempfile.TemporaryDirectory() as folder:
        # The model that the objective compares with: any of its shape takes as long.
        shape.initial(0).save(Path(folder), 0)
        earlier = {name: RunResult(even, dict.fromkeys(domains, 1.0), Path(folder)) for name in own["after"]}
        run = RunSpec(spec["run"], spec["weights"], own["steps"], after=tuple(own["after"]), objective=True)
        counts = dict.fromkeys(domains, 10**6)
        inputs = RunInputs(run, tuple(domains), counts, own["params"], own["method_seed"], earlier)
        found = _timed(spec, vocab, domains, lambda: registry.get(own["registered"]).objective(inputs))
    plain_flops = flops_per_token(shape) * found.training.cost.tokens
    return found.seconds / plain, 1 + found.objective.extra_flops / plain_flops


if __name__ == "__main__":
    print(json.dumps(asdict(worker(json.loads(sys.stdin.read())))))
