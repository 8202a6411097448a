"""Training against `transformers.Trainer`, and against the machine's rate of matrix products.

Same GPT-2 shape without dropout, same random tokens, batch, AdamW, clipping. Trainer runs as its users run
it: one process on all cores. The suite runs as its default config does: as many jobs as cores, one thread
each; what is compared is the machine's tokens/s. The product rate is measured on the very shapes of a
step's products, forward and backward, in the same dtype and in as many processes. Forms take turns; medians
count. Run: `make bench`, or `python benchmarks/training.py [--rounds N] [--scale NAME]`.
"""

import argparse
import os
import sys
import tempfile
from typing import Any

import numpy as np
import torch
from _turns import Form, answer, arguments, header, now, say, serve, take_turns
from memory import objective

from chameleon.mixing.schedule import MixtureSchedule
from chameleon.training.device import keep_pages, pick_device
from chameleon.training.loop import Training
from chameleon.training.model import ModelShape, flops_per_token
from chameleon.training.recipe import Recipe

CORES = os.cpu_count() or 1
#: Scale -> shape, blocks of a step, parts it is cut into, steps of one turn.
SCALES = {
    "small": (ModelShape(4, 2, 64, 128, 2048, 0.05), 8, 1, 20),
    "cpu": (ModelShape(3, 3, 96, 128, 2048, 0.05), 8, 1, 15),
    "5M": (ModelShape(6, 4, 256, 256, 4096), 16, 1, 2),
}
#: Those of gpu.py: of configs/one_gpu.yaml and of config.yaml, a quarter of its batch, and one for a CPU.
GPU_SCALES = {
    "20M": (ModelShape(5, 8, 512, 512, 8192), 64, 1, 20),
    "82M": (ModelShape(6, 12, 768, 512, 50_257), 128, 4, 5),
    "210M": (ModelShape(24, 16, 768, 512, 50_257), 128, 4, 4),
    "684M": (ModelShape(36, 24, 1200, 512, 50_257), 128, 4, 2),
    "toy": (ModelShape(2, 2, 32, 32, 512), 8, 2, 2),
}
#: Form -> worker's task, jobs. The first two are the public library.
FORMS: dict[str, tuple[dict[str, Any], int]] = {
    "Trainer, fp32": ({"kind": "trainer", "precision": "fp32", "threads": CORES}, 1),
    "Trainer, bf16": ({"kind": "trainer", "precision": "bf16", "threads": CORES}, 1),
    "suite, fp32": ({"kind": "suite", "precision": "fp32", "compile": "never"}, CORES),
    "suite, fp32, compiled": ({"kind": "suite", "precision": "fp32", "compile": "always"}, CORES),
    "suite, bf16": ({"kind": "suite", "precision": "bf16", "compile": "never"}, CORES),
    "suite, bf16, compiled": ({"kind": "suite", "precision": "bf16", "compile": "always"}, CORES),
    "products, fp32": ({"kind": "products", "precision": "fp32"}, CORES),
    "products, bf16": ({"kind": "products", "precision": "bf16"}, CORES),
}
STEPS = 100_000
DOMAINS = [f"d{i}" for i in range(7)]


class Tokens:
    """The same random tokens for every form, as a stream (suite) and as a data set (Trainer)."""

    def __init__(self, shape: ModelShape) -> None:
        self.length = shape.context
        self.ids = np.random.default_rng(0).integers(shape.vocab_size, size=1 << 20)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        part: np.ndarray = self.ids[start:stop]
        return part

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.ids[index : index + self.length])
        return {"input_ids": ids, "labels": ids}


class Turns:
    """Called after every step: times `steps` of them per turn, and waits between turns."""

    def __init__(self, steps: int, tokens: int, warm: int) -> None:
        self.steps, self.tokens, self.left, self.first = steps, tokens, warm, True
        self.clock = 0.0

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left > 0:
            return
        if self.first:
            say("ready")
        else:
            answer((now() - self.clock) / (self.steps * self.tokens))
        self.first = False
        if not sys.stdin.readline():
            sys.exit(0)
        self.left, self.clock = self.steps, now()


def trainer(
    shape: ModelShape, batch: int, turns: Turns, precision: str, parts: int = 1, compiled: bool = False
) -> None:
    """Train with the public library, forever."""
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    class Callback(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns()

    config = GPT2Config(
        n_layer=shape.n_layer, n_head=shape.n_head, n_embd=shape.d_model, n_positions=shape.context,
        vocab_size=shape.vocab_size, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=STEPS, bf16=precision == "bf16", torch_compile=compiled,
            per_device_train_batch_size=batch // parts, gradient_accumulation_steps=parts,
            report_to=[], save_strategy="no", disable_tqdm=True, learning_rate=1e-3, weight_decay=0.1,
            use_cpu=not torch.cuda.is_available(),
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
        Trainer(model=model, args=arguments, train_dataset=Tokens(shape), callbacks=[Callback()]).train()


def suite(
    shape: ModelShape,
    batch: int,
    turns: Turns,
    precision: str,
    compile_: str,
    parts: int = 1,
    checkpointing: bool = False,
    method: str = "",
) -> None:
    """Train with the suite, forever; under the objective of a method if one is named."""
    recipe = Recipe(
        "adamw", 1e-3, batch, STEPS, precision=precision, compile=compile_, grad_accumulation=parts,
        activation_checkpointing=checkpointing,
    )  # fmt: skip
    streams: Any = dict.fromkeys(DOMAINS, Tokens(shape))
    training = Training(shape, recipe, streams, init_seed=0, data_seed=0, label="")
    training.sampler.segment = lambda _, total: [  # type: ignore[method-assign]
        (DOMAINS[i % len(DOMAINS)], i % 4000) for i in range(total)
    ]

    class Always(dict):  # type: ignore[type-arg]
        def __contains__(self, _: object) -> bool:
            return True

        def __missing__(self, _: int) -> Turns:
            return turns

    even = MixtureSchedule.static(dict.fromkeys(DOMAINS, 1 / len(DOMAINS)))
    training.play(even, objective=objective(method, shape), watch=Always({0: turns}))


def products(shape: ModelShape, batch: int, precision: str, rounds: int) -> None:
    """Run the matrix products of a step, forward and backward, each into memory that is there already."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    n, d, device = batch * shape.context, shape.d_model, pick_device()
    layers = [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)] * shape.n_layer + [(d, shape.vocab_size)]
    calls = []
    made: dict[tuple[int, int], torch.Tensor] = {}

    def of(rows: int, columns: int, part: int) -> torch.Tensor:
        return made.setdefault((rows, columns, part), torch.randn(rows, columns).to(device, dtype))  # type: ignore[arg-type, return-value, call-overload]

    for i, o in layers:
        x, w, y = of(n, i, 0), of(o, i, 1), of(n, o, 2)
        calls += [(x, w.T, of(n, o, 3)), (y, w, of(n, i, 4)), (y.T, x, of(o, i, 5))]
    flops = sum(2.0 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in calls)

    def piece() -> float:
        start = now()
        for _ in range(rounds):
            for a, b, out in calls:
                torch.mm(a, b, out=out)
        return (now() - start) / (rounds * flops)

    piece()
    serve(piece)


def worker(task: dict[str, Any]) -> None:
    shape, batch, parts, steps = (SCALES | GPU_SCALES)[task["scale"]]
    torch.set_num_threads(task.get("threads", 1))
    if task["kind"] == "trainer":
        turns = Turns(steps, batch * shape.context, 4)
        trainer(shape, batch, turns, task["precision"], parts, task.get("compile", False))
        return
    keep_pages()
    if task["kind"] == "products":
        products(shape, batch // parts, task["precision"], steps)
    else:
        turns = Turns(steps, batch * shape.context, 4)
        more = {key: task[key] for key in ("checkpointing", "method") if key in task}
        suite(shape, batch, turns, task["precision"], task["compile"], parts, **more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="turns of every form")
    parser.add_argument("--scale", choices=SCALES, help="only this one")
    args = arguments(parser, worker)
    print(header(f"{CORES} threads in all", "transformers"))
    for scale in [args.scale] if args.scale else SCALES:
        shape, batch, _, _ = SCALES[scale]
        forms = {}
        for name, (task, jobs) in FORMS.items():
            forms[name] = Form(__file__, {**task, "scale": scale}, jobs)
        rates = take_turns(forms, args.rounds)
        per_token = flops_per_token(shape)
        print(
            f"\n{scale}: {shape.n_layer} blocks of width {shape.d_model}, {batch} x {shape.context} tokens, "
            f"{shape.parameters / 1e6:.2f}M parameters"
        )
        columns = ("tokens/s", "GFLOP/s", "x Trainer fp32", "x Trainer bf16", "of products")
        print(f"{'form':30}" + "".join(f" {column:>15}" for column in columns))
        for name, (task, jobs) in FORMS.items():
            at = f"{name} ({jobs} x {task.get('threads', 1)})"
            if task["kind"] == "products":
                print(f"{at:30} {'':15} {rates[name] / 1e9:15.0f}")
                continue
            flops = rates[name] * per_token
            share = flops / rates[f"products, {task['precision']}"]
            print(
                f"{at:30} {rates[name]:15.0f} {flops / 1e9:15.0f} "
                f"{rates[name] / rates['Trainer, fp32']:15.2f} "
                f"{rates[name] / rates['Trainer, bf16']:15.2f} {100 * share:14.0f}%"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
