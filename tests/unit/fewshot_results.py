"""A results folder with what the few-shot job reads, for its tests: models, their tokenizer, tasks."""

import shutil
from pathlib import Path

import pandas as pd
import torch

from chameleon.data.tokenizer import load_tokenizer, train_tokenizer
from chameleon.evaluation.scorer import Memo, Scorer
from chameleon.evaluation.task_files import write_tasks
from chameleon.experiment import specs
from chameleon.training.model import Decoder, ModelShape, load_pretrained, save_pretrained

ROOT = Path(__file__).resolve().parents[2]
ITEMS = ROOT / "tests" / "data" / "items"
TEXT = sorted((ROOT / "tests" / "data" / "text").rglob("*.txt"))[0].read_text(encoding="utf-8")
CONTEXT, VOCAB = 72, 320
SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=CONTEXT, vocab_size=VOCAB)
SPEC = {
    "scenario": "toy",
    "scale": "tiny",
    "methods": ["uniform", "natural"],
    "seeds": [0],
    "source": "items",
    "tasks": ["local_habits", "local_notes"],
    "shots": [0, 3],
    "limit": 6,
    "version": 1,
}


def write_items(root: Path) -> None:
    """Write the task folder anew: its tasks name their files by absolute paths."""
    raw = {"evaluation": {"fewshot": {"source": "items", "tasks": ["habits", "notes"], "path": str(ITEMS)}}}
    write_tasks(specs.items(type("Config", (), {"raw": raw})()), root / "fewshot" / "tasks")


def write_results(root: Path) -> Path:
    """Write tokenizer, two models far from initialisation and the task folder; return `root`."""
    pd.DataFrame({"split": "train", "text": [TEXT]}).to_parquet(root / "text.parquet")
    bpe = {"kind": "bpe", "vocab_size": VOCAB, "bytes_per_domain": 20_000, "seed": 0}
    train_tokenizer(bpe, [("toy", "text", root / "text.parquet")], root / "tokenizer")
    for seed, method in enumerate(SPEC["methods"]):
        folder = root / "runs" / "toy" / method / "seed0" / "model"
        model = Decoder(SHAPE).initialise(seed)
        with torch.no_grad():
            model.wte.weight.mul_(40)
        save_pretrained(model, folder, eos_token_id=0)
        for file in (root / "tokenizer").iterdir():
            shutil.copy(file, folder / file.name)
    write_items(root)
    return root


def open_scorer(results: Path, method: str = "uniform") -> Scorer:
    """Return the scorer of one of the models."""
    folder = results / "runs" / "toy" / method / "seed0" / "model"
    return Scorer(load_pretrained(folder).eval(), Memo(load_tokenizer(folder)))


def requests(scorer, *pairs):
    return [((prompt, answer), *scorer._encode_pair(prompt, answer)) for prompt, answer in pairs]


def plain(model, prompt, answer):
    """The definition: the answer's log-probability in the last `context` + 1 tokens, one request alone."""
    ids = torch.tensor((prompt + answer)[-(model.shape.context + 1) :])
    with torch.no_grad():
        losses = model(ids[None, :-1], ids[None, 1:])[0]
    return -losses[-len(answer) :].double().sum().item()
