"""Few-shot tasks of lm-evaluation-harness: prepared once, then run on one model after the other.

Used by `fewshot`. The tasks are those of a generated folder (offline) or lm-eval's own. Prompts depend on
the task, the number of shots and a fixed seed only, so that every model answers identical prompts, which
are also those of the `lm_eval` command line.
"""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError

#: lm-eval's own default, so that its command line draws the same examples.
FEWSHOT_SEED = 1234

Sample = Mapping[str, Any]


def go_offline() -> None:
    """Keep the Hugging Face libraries off the network; call before anything imports them.

    Their copy of the items goes to a folder that is gone after the job, not into the user's home.
    """
    for library in ("HF_HUB", "HF_DATASETS", "TRANSFORMERS"):
        os.environ[f"{library}_OFFLINE"] = "1"
    os.environ["HF_DATASETS_CACHE"] = _temporary_folder().name


@cache
def _temporary_folder() -> Any:
    """Return one folder for the process, removed at its end."""
    return tempfile.TemporaryDirectory(prefix="chameleon-items-")


def quiet() -> None:
    """Silence lm-eval's progress bars and notes; call before it is imported."""
    import logging

    os.environ["TQDM_DISABLE"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    logging.getLogger("lm_eval").setLevel(logging.ERROR)


class Harness:
    """The tasks, loaded once.

    Args:
        names: lm-eval task names.
        folder: generated task folder; None: lm-eval's own tasks.
        limit: items per task, from the front; None: all.
    """

    def __init__(self, names: Sequence[str], folder: Path | None, limit: int | None) -> None:
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=str(folder) if folder else None, include_defaults=folder is None)
        if unknown := [name for name in names if name not in manager.all_tasks]:
            raise UserError(f"evaluation.fewshot.tasks: lm-eval has no task {', '.join(map(repr, unknown))}")
        self.loaded: Any = manager.load(list(names))
        #: lm-eval's task objects by name; a group's tasks stand for the group.
        self.tasks: dict[str, Any] = self.loaded["tasks"]
        self.limit = limit
        #: What a reader needs to judge a task's scores: `item_facts`, and `prompt_facts` by shots.
        self.facts: dict[str, dict[str, Any]] = {}
        for name, task in self.tasks.items():
            if task.OUTPUT_TYPE not in ("multiple_choice", "loglikelihood"):
                raise UserError(f"evaluation.fewshot.tasks: {name!r} generates text; only choices are scored")

    def run(self, scorer: Any, shots: int) -> dict[str, dict[str, Any]]:
        """Return the scores of a model (a `scorer.Scorer`) by task.

        Raises:
            UserError: an answer is longer than the model's context, or a task has no accuracy.
        """
        from lm_eval.evaluator import evaluate

        from chameleon.evaluation.scorer import AnswerTooLong

        for task in self.tasks.values():
            # Also starts the draw of examples anew: every model gets the same ones.
            task.set_config(key="num_fewshot", value=shots)
            task.set_fewshot_seed(seed=FEWSHOT_SEED)
        try:
            found = evaluate(scorer, self.loaded, limit=self.limit, bootstrap_iters=0, log_samples=True)
        except AnswerTooLong as error:
            raise UserError(f"evaluation.fewshot.tasks: {error}") from error
        scores = {}
        for name, task in self.tasks.items():
            samples = found["samples"][name]
            samples = [s for s in samples if s["filter"] == samples[0]["filter"]]
            scores[name] = score(task, samples)
            facts = self.facts.setdefault(name, {**item_facts(task, samples), "prompts": {}})
            # The same for every model: they share tokenizer and context.
            if str(shots) not in facts["prompts"]:
                facts["prompts"][str(shots)] = prompt_facts(task, samples, shots, scorer)
        return scores


def gold_index(task: Any, sample: Sample) -> int:
    """Return which of a sample's requests holds the right answer."""
    if task.OUTPUT_TYPE == "loglikelihood":
        return 0
    gold = task.doc_to_text(sample["doc"]) if task.multiple_input else sample["target"]
    if isinstance(gold, list):  # several right answers: the first stands for them
        gold = gold[0]
    return task.doc_to_choice(sample["doc"]).index(gold) if isinstance(gold, str) else int(gold)


def score(task: Any, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return accuracy, normalised accuracy, their standard errors, and bits per byte of the right answer.

    Accuracies are lm-eval's (normalised: by the answer's characters); the standard errors are its closed
    form, sqrt(Σ(x - mean)² / (n - 1) / n). Bits per byte: minus the log-likelihood of the right answers in
    bits over their UTF-8 bytes, both summed over items (the delimiter before an answer belongs to it).
    lm-eval has no such metric for choices; it is computed here from its samples. None: the task has none.

    Raises:
        UserError: the task has no accuracy.
    """
    if "acc" not in samples[0]:
        raise UserError(f"evaluation.fewshot.tasks: {task.config.task!r} has no accuracy")
    found: dict[str, Any] = {}
    for metric in ("acc", "acc_norm"):
        values = [float(s[metric]) for s in samples] if metric in samples[0] else []
        found[metric], found[f"{metric}_stderr"] = mean_and_error(values)
    nats, size = 0.0, 0
    for sample in samples:
        gold = gold_index(task, sample)
        nats -= sample["filtered_resps"][gold][0]
        size += len(sample["arguments"][gold][1].encode())
    found["bits_per_byte"] = round(nats / math.log(2) / size, 9)
    return found


def mean_and_error(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the mean and its standard error; None where there are too few values."""
    if not values:
        return None, None
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return round(mean, 9), None
    variance = math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1)
    return round(mean, 9), round(math.sqrt(variance / len(values)), 9)


def item_facts(task: Any, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the number of items, and what can be had without reading them.

    chance: accuracy of guessing, the mean of 1 / number of choices (0 for an open answer). constant: accuracy
    of always giving the most frequent answer, where all items have the same choices (yes or no); else None.
    """
    choices = [task.doc_to_choice(s["doc"]) if task.config.doc_to_choice else [] for s in samples]
    golds = [gold_index(task, s) for s in samples]
    guesses = [1 / len(c) if c else 0.0 for c in choices]
    same = bool(choices[0]) and all(c == choices[0] for c in choices) and not task.multiple_input
    return {
        "items": len(samples),
        "chance": round(math.fsum(guesses) / len(guesses), 9),
        "constant": round(max(map(golds.count, set(golds))) / len(golds), 9) if same else None,
    }


def prompt_facts(task: Any, samples: Sequence[Sample], shots: int, scorer: Any) -> dict[str, float]:
    """Return how much of the prompts fits the models' context.

    truncated: share of items of which at least one prompt with its answer is cut (from the left).
    examples_seen: mean number of examples that are left whole, counted with the right answer.
    """
    window = scorer.model.shape.context + 1
    cut, seen = 0, 0
    for sample in samples:
        lengths = [_tokens(scorer, *pair[:2]) for pair in sample["arguments"] if pair[0]]
        cut += max(lengths, default=0) > window
        context, answer = sample["arguments"][gold_index(task, sample)][:2]
        delimiter = task.config.fewshot_delimiter
        # An item that holds the delimiter itself makes more parts; the last ones are then fewer examples.
        parts = context.split(delimiter)
        for count in range(1, shots + 1):
            if _tokens(scorer, delimiter.join(parts[-(count + 1) :]), answer) > window:
                break
            seen += 1
    return {"truncated": round(cut / len(samples), 9), "examples_seen": round(seen / len(samples), 9)}


def _tokens(scorer: Any, context: str, answer: str) -> int:
    return sum(map(len, scorer._encode_pair(context, answer)))
