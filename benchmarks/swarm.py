"""A swarm of small proxies: workers against one process per proxy, and against a loop on all cores.

Every form runs the workflow's own job (`python -m chameleon swarm`: train, validate, write) at the default
config's `cpu_swarm` scale, on random tokens. The suite: as many workers as cores, one thread each, start-up
paid once per worker; beside it, workers that train their proxies as one batched model. One process per proxy:
as many at once as cores. The loop: one process with all threads. The results of these forms are compared with
the loop's. The last two do the same with the public library: proxies of the same GPT-2 shape on the same
mixtures, trained by `transformers.Trainer` with AdamW and validated by its `evaluate`.
Run: `make bench`, or `python benchmarks/swarm.py [--proxies N] [--rounds N]`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import _corpus
import numpy as np
import yaml
from _turns import header

from chameleon.data.tokens import TokenCorpus

CORES = os.cpu_count() or 1
DOMAINS = [f"domain{i}" for i in range(7)]
VOCAB, VALIDATION = 2048, 8192
#: Form -> proxies of one process (0: its share), processes at once, threads, proxies in a stack (0: Trainer).
FORMS = {
    "workers (used)": (0, CORES, 1, 1),
    "workers, stacks of 8": (0, CORES, 1, 8),
    "one process per proxy": (1, CORES, 1, 1),
    f"loop on {CORES} threads": (0, 1, CORES, 1),
    "Trainer, a process per proxy": (1, CORES, 1, 0),
    f"Trainer, loop on {CORES} threads": (0, 1, CORES, 0),
}


def mixtures(count: int) -> dict[str, dict[str, float]]:
    """Return so many runs: name -> weights."""
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(DOMAINS)), count).tolist()
    return {f"run{i:03d}": dict(zip(DOMAINS, row, strict=True)) for i, row in enumerate(drawn)}


def specs(runs: dict[str, dict[str, float]], size: int, steps: int | None = None) -> list[dict[str, Any]]:
    """Return the jobs' specs: shares of the runs; `steps` of each, None: as the scale says."""
    scale = yaml.safe_load(Path("config.yaml").read_text())["scales"]["cpu_swarm"]
    scale["train"] |= {} if steps is None else {"steps": steps}
    common = {
        "scenario": "benchmark", "method": "regmix", "seed": 0, "seeds": {"init": 1, "data": 2},
        "domains": dict.fromkeys(DOMAINS, "random"), "max_epochs": None, "validation_tokens": VALIDATION,
        **scale,
    }  # fmt: skip
    names = list(runs)
    shares = [names[i : i + size] for i in range(0, len(names), size)]
    return [
        {**common, "group": f"part{i}", "runs": {n: runs[n] for n in share}} for i, share in enumerate(shares)
    ]


def seconds(
    form: tuple[int, int, int, int],
    runs: dict[str, dict[str, float]],
    manifest: Path,
    steps: int | None = None,
) -> tuple[float, dict[str, Any]]:
    """Return what a form takes, and every run's losses."""
    size, jobs, threads, stack = form
    with tempfile.TemporaryDirectory() as folder:
        suite = ["-m", "chameleon", "job", "swarm", "--stack", str(stack)]
        program = [sys.executable, *(suite if stack else [__file__, "--trainer"])]
        commands = [
            [*program, "--spec", json.dumps(spec), "--tokens", str(manifest), "--threads", str(threads),
             "--out", str(Path(folder, spec["group"], "out.json"))]
            for spec in specs(runs, size or -(-len(runs) // jobs), steps)
        ]  # fmt: skip
        start = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:
            done = [pool.submit(subprocess.run, c, check=True, capture_output=True) for c in commands]
            for future in done:
                future.result()
        spent = time.perf_counter() - start
        found: dict[str, Any] = {}
        for path in Path(folder).glob("*/out.json"):
            found |= {name: run["loss"] for name, run in json.loads(path.read_text())["runs"].items()}
    return spent, found


def blocks(corpus: TokenCorpus, domain: str, split: str, count: int, length: int) -> list[dict[str, Any]]:
    """Return the first blocks of a domain as Trainer takes them."""
    data = corpus.stream(domain, split).read(0, count * length).reshape(count, length)
    return [{"input_ids": row, "labels": row} for row in data]


def trainer(spec: dict[str, Any], manifest: Path, out: Path, threads: int) -> None:
    """Train and validate the job's proxies with the public library."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    torch.set_num_threads(threads)
    shape, recipe, corpus = spec["model"], spec["train"], TokenCorpus(manifest)
    length = shape["context"]
    count = recipe["steps"] * recipe["batch_size"]
    config = GPT2Config(
        n_layer=shape["n_layer"], n_head=shape["n_head"], n_embd=shape["d_model"], n_positions=length,
        vocab_size=VOCAB, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    held_out = {d: blocks(corpus, d, "validation", VALIDATION // length, length) for d in DOMAINS}
    found = {}
    for name, mixture in spec["runs"].items():
        parts = [blocks(corpus, d, "train", round(mixture[d] * count), length) for d in DOMAINS]
        arguments = TrainingArguments(
            output_dir=str(out.parent), max_steps=recipe["steps"], learning_rate=recipe["adam_lr"],
            per_device_train_batch_size=recipe["batch_size"], per_device_eval_batch_size=16,
            prediction_loss_only=True, report_to=[], save_strategy="no", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
        worker = Trainer(model=model, args=arguments, train_dataset=sum(parts, []))
        worker.train()
        loss = {d: worker.evaluate(rows)["eval_loss"] for d, rows in held_out.items()}
        found[name] = {"weights": mixture, "loss": loss}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"runs": found}))


def main() -> None:
    if "--trainer" in sys.argv:
        asked = argparse.ArgumentParser()
        asked.add_argument("--trainer", action="store_true")
        for name, kind in (("--spec", json.loads), ("--tokens", Path), ("--out", Path), ("--threads", int)):
            asked.add_argument(name, type=kind, required=True)
        job = asked.parse_args()
        trainer(job.spec, job.tokens, job.out, job.threads)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proxies", type=int, default=12, help="of the swarm (the default config has 64)")
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds per form, one of Trainer")
    args = parser.parse_args()
    runs = mixtures(args.proxies)
    times: dict[str, list[float]] = {name: [] for name in FORMS}
    losses: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        manifest = _corpus.write(Path(folder, "random"), DOMAINS, VOCAB, 200_000)
        for number in range(args.rounds):
            for name, form in FORMS.items():
                if number and not form[3]:
                    continue  # Trainer's two forms take most of the time: once is enough
                spent, losses[name] = seconds(form, runs, manifest)
                times[name].append(spent)
    median = {name: statistics.median(values) for name, values in times.items()}
    used, last = median[next(iter(FORMS))], losses[f"loop on {CORES} threads"]
    print(header(f"{args.proxies} proxies, float32"))
    print(
        f"{'form':30} {'seconds':>8} {'s / proxy':>10} {'this / used':>12} {'largest difference in loss':>28}"
    )
    for name, value in median.items():
        apart = max(abs(losses[name][r][d] - last[r][d]) for r in runs for d in DOMAINS)
        # Another optimizer and other initial weights: Trainer's losses are its own.
        shown = f"{apart:28.1e}" if FORMS[name][3] else f"{'':28}"
        print(f"{name:30} {value:8.1f} {value / len(runs):10.2f} {value / used:12.2f} {shown}".rstrip())


if __name__ == "__main__":
    main()
