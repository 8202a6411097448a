"""How much memory a training job takes at its peak: weights, gradients, optimizer, activations, head.

Counted from what `chameleon.training` keeps, tensor by tensor; benchmarks/memory.py holds it against measured
peaks. The peak is where a backward pass begins, when all activations are there (and the gradients of earlier
parts, where a batch is worked on in parts), or where the optimizer steps. What an allocator holds back is not
counted: with LoRA's many small tensors that is 0.6 GB of glibc's on a CPU, and nothing where
MALLOC_MMAP_THRESHOLD_=1000000 is set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chameleon.experiment.config import Config
from chameleon.mixing.method import Method
from chameleon.mixing.types import StepSize
from chameleon.pricing import activations
from chameleon.pricing.job import Job
from chameleon.pricing.objectives import objective_key
from chameleon.pricing.shapes import shape as shape_of
from chameleon.training.hf.decoder import HfShape
from chameleon.training.losses import chunk_rows
from chameleon.training.model import ModelShape

#: What a process holds before it has a model: the interpreter, torch and this package (resident, CPU build).
PROCESS = 0.28e9
#: What importing transformers with a model's code adds to that.
TRANSFORMERS = 0.16e9


def step_size(
    shape: ModelShape, train: Mapping[str, Any], domains: int, precision: str, lora: activations.Lora = None
) -> StepSize:
    """Return the sizes of a step.

    Of a block, a pass keeps per token and unit of width its input and the middle of its residual stream
    (which stay float32), both norms' outputs, q, k, v, attention's answer, and 4 + 4 about the GELU. The last
    norm's input and output come on top. Of a model of transformers all that is counted by `activations`.

    Args:
        shape: of the model.
        train: the recipe, `scales.<name>.train`.
        domains: k.
        precision: "fp32" or "bf16", that the job runs in.
        lora: as a scenario's base has it.
    """
    number = 2 if precision == "bf16" else 4
    block, last = (2 * 4 + 14 * number) * shape.d_model, (4 + number) * shape.d_model
    if isinstance(shape, HfShape):
        block = round((activations.token_bytes(shape, precision, lora) - last) / shape.n_layer)
    again = train.get("activation_checkpointing")
    blocks = shape.n_layer * 4 * shape.d_model + block if again else shape.n_layer * block
    return StepSize(
        blocks=int(train["batch_size"]), length=shape.context, parts=int(train.get("grad_accumulation", 1)),
        domains=domains, parameters=shape.parameters, vocabulary=shape.vocab_size, number=number,
        token_bytes=blocks + last, width=shape.d_model,
    )  # fmt: skip


def peak_bytes(
    shape: ModelShape,
    train: Mapping[str, Any],
    step: StepSize,
    device: str,
    objective: float = 0.0,
    lora: activations.Lora = None,
) -> float:
    """Return the peak bytes of a training job on its device; on a CPU with what the process holds.

    Args:
        shape: of the model.
        train: its recipe.
        step: from `step_size`.
        device: "cpu" or "cuda"; it decides how many logits are there at a time.
        objective: what a method's objective holds beyond a plain step (`Method.objective_bytes`).
        lora: as a scenario's base has it: the weights lie still, and small matrices beside them are trained.
    """
    p, d, tokens = step.parameters, shape.d_model, step.at_once * step.length
    moved = activations.trained(shape, lora) if lora else p
    matrices = moved if lora else shape.block_weights * shape.n_layer
    state = 8 * moved - (4 * matrices if train["optimizer"] == "muon" else 0)
    copies = 2 * p if step.number == 2 else 0
    gradients = 4 * moved if step.parts > 1 else 0
    # Gradients at both sides of the last GELU, at the head's inputs and of its matrix (as it was kept, and
    # times what comes from above), and a chunk of logits.
    begin = tokens * d * 9 * step.number + 2 * 4 * shape.vocab_size * d
    chunk = min(tokens, chunk_rows(device)) * shape.vocab_size * (4 + (2 if step.number == 2 else 0))
    backward = gradients + copies + tokens * step.token_bytes + begin + chunk + objective
    process = PROCESS + (TRANSFORMERS if isinstance(shape, HfShape) else 0.0) if device == "cpu" else 0.0
    weights = 4 * (p + moved if lora else p)
    return float(weights + state + max(4 * moved, backward) + process)


class Need(NamedTuple):
    """What training jobs of one kind need; `objective`: label of the method whose it is, or LoRA."""

    scale: str
    objective: str
    parameters: int
    blocks: int
    bytes: float


def _objective(cfg: Config, job: Job) -> str:
    """Return the key of the objective that a job's steps are under, an online method's too; "" for none."""
    if job.stage != "base" or not job.method:
        return job.objective
    method, _ = cfg.method(job.method)
    holds = method.online and type(method).objective_bytes is not Method.objective_bytes
    return objective_key(job.scenario, job.method) if holds else ""


def _adapted(cfg: Config, job: Job) -> str:
    """Return the scenario of a base run that trains LoRA; "" of any other job."""
    if job.stage != "base" or not job.scenario:
        return ""
    return job.scenario if "lora" in cfg.raw["scenarios"][job.scenario]["base"] else ""


def needs(cfg: Config, jobs: Sequence[Job], vocab: int) -> list[Need]:
    """Return the memory of every kind of training job: by scale and objective, the largest of scenarios."""
    device = "cuda" if cfg.raw.get("gpus_per_job") else "cpu"
    found: dict[tuple[str, str], Need] = {}
    kinds = {(job.scale, _objective(cfg, job), _adapted(cfg, job)) for job in jobs if job.train_flops}
    for scale, key, adapted in sorted(kinds):
        lora = cfg.raw["scenarios"][adapted]["base"]["lora"] if adapted else None
        shape, train = shape_of(cfg, scale, vocab), cfg.raw["scales"][scale]["train"]
        asked = train.get("precision", "fp32")
        # `auto` may choose bf16 on a CPU too; float32 takes more.
        chosen = "bf16" if asked == "bf16" or (asked == "auto" and device == "cuda") else "fp32"
        scenario, _, label = key.partition(" ")
        step = step_size(shape, train, len(cfg.domains(scenario)) if key else 1, chosen, lora)
        more = 0.0
        if key:
            method, params = cfg.method(label)
            more = method.objective_bytes(params, step)
        label = " ".join([label] * bool(label) + ["LoRA"] * bool(lora))
        size = peak_bytes(shape, train, step, device, more, lora)
        need = Need(scale, label, step.parameters, step.at_once, size)
        if (kept := found.get((scale, label))) is None or kept.bytes < need.bytes:
            found[scale, label] = need
    return list(found.values())
