"""The `fewshot` job: every model of a scenario on the few-shot tasks, in one process.

Reads `runs/{scenario}/{method}/seed{n}/model` and the task folder; writes `fewshot/{scenario}.json` (no
times: byte-stable) and its run record. What a model scored is kept in `fewshot/parts/`, tied to the spec, the
model and the items by a fingerprint: a run that was cut off, or one method more, evaluates what is missing.
"""

import sys
import time
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import fingerprint, read_json, sha256_file, write_json
from chameleon.core.errors import UserError
from chameleon.core.provenance import Recorder
from chameleon.evaluation.task_files import read_tasks
from chameleon.training.device import setup_torch

Spec = Mapping[str, Any]
Part = dict[str, Any]


def fewshot(spec: Spec, results: Path, out: Path, threads: int) -> None:
    """Evaluate the models of a scenario.

    Args:
        spec: `specs.fewshot`.
        results: the results folder.
        out: the scores; `.run.json` and `parts/` lie beside it.
        threads: threads to use.

    Raises:
        UserError: the models' tokenizers differ, a task is unknown, or an answer does not fit a model.
    """
    score(spec, results, out, threads, [(m, n) for m in spec["methods"] for n in spec["seeds"]])


def score(
    spec: Spec, results: Path, out: Path, threads: int, wanted: list[tuple[str, int]], kept_only: bool = False
) -> None:
    """Evaluate some of a scenario's models, all of them or those that a run that failed has left.

    Args:
        spec, results, out, threads: as of `fewshot`.
        wanted: (method, seed) of models that are there.
        kept_only: take what was scored before, and evaluate nothing. Without any score nothing is written.
    """
    from chameleon.evaluation import harness

    harness.quiet()
    tasks = results / "fewshot" / "tasks" / "items.json" if spec["source"] == "items" else None
    if tasks:
        harness.go_offline()
    runs = results / "runs" / spec["scenario"]
    models = {(m, n): runs / m / f"seed{n}" / "model" for m, n in wanted}
    inputs = [folder / "model.safetensors" for folder in models.values()]
    recorder = Recorder("fewshot", spec, [*([tasks] if tasks else []), *inputs], threads=threads)
    recorder.device = setup_torch(threads)
    tokenizer = _one_tokenizer(list(models.values()))
    written = read_tasks(tasks) if tasks else {"tasks": {}, "sha256": None}
    for name, about in written["tasks"].items():
        if about["examples"] < max(spec["shots"]):
            key = f"evaluation.fewshot.shots: {max(spec['shots'])}"
            raise UserError(f"{key} is more than the {about['examples']} examples of {name}")
    common = {
        **{k: spec[k] for k in ("source", "tasks", "shots", "limit", "version")},
        "fewshot_seed": harness.FEWSHOT_SEED,
        "items": written["sha256"],
        "lm_eval": version("lm_eval"),
        "tokenizer": tokenizer,
    }
    evaluate = _Evaluation(spec, tasks.parent if tasks else None, next(iter(models.values())))
    parts: list[Part] = []
    charged = []
    for (method, seed), folder in models.items():
        identity = fingerprint({**common, "model": recorder.digest(folder / "model.safetensors")})
        kept = results / "fewshot" / "parts" / spec["scenario"] / f"{method}-seed{seed}.json"
        part = _read_part(kept, identity)
        known = part is not None
        if part is None and kept_only:
            continue
        if part is None:
            part = {"fingerprint": identity, **evaluate(folder)}
            write_json(kept, part)
            said = f"{spec['scenario']} {method} seed {seed}: {part['cost']['seconds']:.1f} s"
            print(f"fewshot: {said}", file=sys.stderr, flush=True)
        parts.append({"method": method, "seed": seed, **part})
        charged.append({"method": method, "seed": seed, "cost": part["cost"], "kept": known})
        recorder.cost.add(part["cost"]["tokens"], part["cost"]["flops"])
    if not parts:
        return
    recorder.extra["models"] = charged
    recorder.extra["lm_eval"] = common["lm_eval"]
    recorder.deliver(out, _table(spec, parts), "fewshot")


def _one_tokenizer(folders: list[Path]) -> str:
    """Return the digest of the models' common tokenizer."""
    digests = {folder: sha256_file(folder / "tokenizer.json") for folder in folders}
    for folder, digest in digests.items():
        if digest != digests[folders[0]]:
            raise UserError(f"{folder}: its tokenizer is not that of {folders[0]}")
    return digests[folders[0]]


def _read_part(path: Path, identity: str) -> Part | None:
    """Return a model's kept scores if they were made from the same spec, model and items."""
    if not path.exists():
        return None
    part: Part = read_json(path)
    return part if part.get("fingerprint") == identity else None


class _Evaluation:
    """Scores models; lm-eval is imported and its tasks are loaded when the first model asks."""

    def __init__(self, spec: Spec, tasks: Path | None, tokenizer: Path) -> None:
        self._spec, self._tasks, self._tokenizer = spec, tasks, tokenizer

    @cached_property
    def _ready(self) -> tuple[Any, Any]:
        from chameleon.data.tokenizer import load_tokenizer
        from chameleon.evaluation.harness import Harness
        from chameleon.evaluation.scorer import Memo

        harness = Harness(self._spec["tasks"], self._tasks, self._spec["limit"])
        return harness, Memo(load_tokenizer(self._tokenizer))

    def __call__(self, folder: Path) -> Part:
        """Return a model's scores by task and shots, facts about the tasks, and what scoring it cost."""
        harness, memo = self._ready
        from chameleon.evaluation.scorer import Scorer
        from chameleon.stages.common import load_model

        started = time.perf_counter()
        scorer = Scorer(load_model(folder), memo)
        scores: dict[str, dict[str, Any]] = {}
        for shots in self._spec["shots"]:
            for task, found in harness.run(scorer, shots).items():
                scores.setdefault(task, {})[str(shots)] = found
        seconds = round(time.perf_counter() - started, 3)
        cost = {"tokens": scorer.cost.tokens, "flops": scorer.cost.flops, "seconds": seconds}
        return {"scores": scores, "tasks": harness.facts, "cost": cost}


def _table(spec: Spec, parts: list[Part]) -> dict[str, Any]:
    """Return the scenario's scores (schema `fewshot`)."""
    tasks = parts[0]["tasks"]
    if any(part["tasks"] != tasks for part in parts):
        raise ValueError("models of one scenario were asked different questions")
    # A group of lm-eval's stands for its tasks, whose names are not in the spec.
    order = spec["tasks"] if set(spec["tasks"]) == set(tasks) else sorted(tasks)
    return {
        **{k: spec[k] for k in ("scenario", "scale", "methods", "seeds", "source", "shots", "limit")},
        "tasks": tasks,
        "order": order,
        "scores": [
            {"method": p["method"], "seed": p["seed"], "task": task, "shots": shots}
            | p["scores"][task][str(shots)]
            for p in parts
            for task in order
            for shots in spec["shots"]
        ],
    }
