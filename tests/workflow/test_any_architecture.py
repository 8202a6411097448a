"""A llama from scratch through the real workflow: trained, embedded with, tested, asked, finetuned."""

import json

import pytest
from checkout import Checkout
from transformers import AutoModelForCausalLM

pytestmark = pytest.mark.slow
#: As few jobs as see every stage; `smoke_llama` is the default config's.
CONFIG = """
seeds: [0]
run: [pretrain, finetune_toy]
scenarios:
  pretrain: {corpora: [toy], unseen: [], methods: [chameleon],
    proxy: {scale: smoke_llama, steps: 10}, base: {scale: smoke_llama, steps: 20}}
  finetune_toy: {base: {scale: smoke_llama, of: pretrain, method: chameleon, steps: 10}, methods: [uniform],
    fewshot: true}
evaluation: {fewshot: {tasks: [habits], shots: [1], limit: 4}}
corpora: {toy: {documents: 200, domains: [twin_one, unique]}, toy_new: {documents: 200}}
sensitivity: null
"""


def test_a_llama_goes_through_every_stage(checkout: Checkout) -> None:
    results = "results/smoke"
    wanted = [f"{results}/fewshot/finetune_toy.json", f"{results}/metrics/finetune_toy/uniform/seed0.json"]
    done = checkout.snakemake(*checkout.overlay(CONFIG), "--", *wanted)
    assert done.returncode == 0, done.stderr
    root = checkout.root / results
    fewshot, metrics = (json.loads((checkout.root / name).read_text()) for name in wanted)
    assert {score["task"] for score in fewshot["scores"]} == {"local_habits"}
    assert all(0 <= score["acc"] <= 1 for score in fewshot["scores"])
    assert set(metrics["loss"]) == {"cousin"} and set(metrics["kept"]["loss"]) == {"twin_one", "unique"}
    run = root / "runs" / "finetune_toy" / "uniform" / "seed0"
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    assert type(model).__name__ == "LlamaForCausalLM" and model.config.vocab_size == 512
    record = json.loads((run / "run.json").read_text())
    assert record["parameters"] == model.num_parameters() and record["engine"]["kernels"] == []
    (embedded,) = (root / "embeddings").glob("proxy_pretrain/*/toy.json")
    assert json.loads(embedded.read_text())["layer"] == 1
    start = root / "runs" / "pretrain" / "chameleon" / "seed0"
    assert str(start.relative_to(checkout.root) / "model" / "model.safetensors") in record["inputs"]
