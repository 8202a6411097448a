"""A checkpoint through the stages, from text to tidy rows: what the workflow does, in this process."""

from pathlib import Path

import pytest
import tiny_checkpoints as tiny
import torch
from toy_config import put
from transformers import AutoModelForCausalLM, AutoTokenizer
from unit.checkpoint_configs import METHODS, tuned

from chameleon.core.artifacts import read_json
from chameleon.data.corpora.fetch import fetch
from chameleon.experiment import paths, specs
from chameleon.experiment.load import load
from chameleon.reporting.records import collect
from chameleon.stages import fewshot, measure, runs, text, weighting
from chameleon.training.hf.checkpoint import load as load_model
from chameleon.training.resume import states


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A checkpoint with its tokenizer."""
    return tiny.write(tmp_path_factory.mktemp("theirs") / "Tiny-Llama")


@pytest.fixture
def config(raw, theirs):
    return tuned(raw, theirs)


class Flow:
    """Does the jobs of the scenario `tuned` in a results folder."""

    def __init__(self, raw, results):
        raw["results_dir"] = str(results)
        self.cfg, self.results = load(raw), results

    def path(self, name):
        return Path(name.replace("<results>", str(self.results)))

    def text(self):
        for corpus in self.cfg.corpora:
            folder = self.results / "corpora" / corpus
            fetch(specs.fetch(self.cfg, corpus), folder / "sources.json")
            text.prepare(specs.prepare(self.cfg, corpus), folder, 1)
        text.tokenizer(specs.tokenizer(self.cfg), self.results / "corpora", self.results / "tokenizer")
        for corpus in self.cfg.corpora:
            of = (
                self.results / "corpora" / corpus,
                self.results / "tokenizer",
                self.results / "tokens" / corpus,
            )
            text.tokens(specs.tokens(self.cfg, corpus), *of, 1, specs.asked(self.cfg, corpus))
        for name in self.cfg.checkpoints:
            out = self.results / "checkpoints" / name
            runs.checkpoint(specs.checkpoint(self.cfg, name), self.results / "tokenizer", out)
        return self

    def tokens(self, names):
        return [self.path(name) for name in names]

    def weights(self, label, seed=0):
        out = self.results / "weights" / "tuned" / label / f"seed{seed}.json"
        files = paths.embedding_files(self.cfg, "tuned", label, str(seed))
        for name in files:
            if not self.path(name).exists():
                embedder, corpus = self.path(name).parts[-3], self.path(name).stem
                model = self.path(paths.embedder_model(self.cfg, embedder, str(seed)))
                manifest = self.results / "tokens" / corpus / "manifest.json"
                spec = specs.embed(self.cfg, embedder, corpus, seed)
                measure.embed(spec, [manifest], model, self.path(name), 1)
        others = self.tokens(paths.others(self.cfg, "tuned", label, str(seed)))
        given = (self.tokens(paths.manifests(self.cfg, "tuned")), self.tokens(files), [])
        weighting.weights(specs.weights(self.cfg, "tuned", label, seed), *given, out, 1, others)
        return out

    def run(self, label, seed=0, states="never"):
        out = self.results / "runs" / "tuned" / label / f"seed{seed}"
        start = self.path(paths.start_model(self.cfg, "tuned", str(seed)))
        manifests = self.tokens(paths.manifests(self.cfg, "tuned"))
        weights = self.weights(label, seed)
        spec = specs.train(self.cfg, "tuned", label, seed)
        runs.train(spec, manifests, weights, self.results / "tokenizer", out, 1, start=start, states=states)
        return out

    def test(self, label, seed=0):
        out = self.results / "metrics" / "tuned" / label / f"seed{seed}.json"
        model = self.results / "runs" / "tuned" / label / f"seed{seed}" / "model"
        tokens = self.tokens(paths.tested_manifests(self.cfg, "tuned"))
        measure.evaluate(specs.evaluate(self.cfg, "tuned", label, seed), tokens, model, out, 1)
        return read_json(out, "metrics")

    def start(self):
        tokens = self.tokens(paths.tested_manifests(self.cfg, "tuned"))
        out = self.results / "metrics" / "tuned" / "_start"
        model = self.path(str(paths.checkpoint_model(self.cfg, "tuned")))
        measure.start(specs.start(self.cfg, "tuned"), tokens, model, out, 1)
        return out


def test_from_text_to_rows(config, theirs, tmp_path):
    flow = Flow(config, tmp_path / "results").text()
    (name,) = flow.cfg.checkpoints
    assert name.startswith("tiny_llama_") and specs.checkpoint(flow.cfg, name)["model"]["n_layer"] == 3
    before = flow.start()
    measured = {}
    for label in METHODS:
        folder = flow.run(label)
        measured[label] = flow.test(label)
        curve = read_json(folder / "curve.json")["points"]
        assert [p["tokens"] for p in curve] == [0, 256, 512], "the curve begins before the first step"
        loss = [sum(p["loss"].values()) for p in curve]
        assert loss[-1] < loss[0] - 0.1, (label, loss)
        record = read_json(folder / "run.json", "run")
        assert record["parameters"] == tiny.model("llama").num_parameters()
        assert (
            str(flow.path(paths.start_model(flow.cfg, "tuned", "0")) / "model.safetensors")
            in record["inputs"]
        )
    kinds = {label: read_json(flow.results / f"weights/tuned/{label}/seed0.json") for label in METHODS}
    scores = kinds["chameleon"]["diagnostics"]["scores"]
    # The model that is finetuned is the proxy too: one embedding serves both.
    assert scores == kinds["base"]["diagnostics"]["scores"]
    assert flow.cfg.embedder("tuned", "base") == flow.cfg.embedder("tuned", "chameleon") == f"base_{name}"
    whole = flow.results / "runs/tuned/uniform/seed0/model"
    assert type(AutoModelForCausalLM.from_pretrained(whole)).__name__ == "LlamaForCausalLM"
    of_run, given = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (whole, theirs))
    assert of_run == given

    # Forgetting: the loss on the kept corpus minus what the checkpoint had before, seed by seed the same.
    start = read_json(before / "seed0.json", "metrics")
    assert set(start["loss"]) == {"twin_one", "unique", "blend"} and start["kept"] is None
    assert read_json(before / "seed1.json") == {**start, "seed": 1}
    what = specs.collect(flow.cfg)["scenarios"]["tuned"]
    assert what["start"] == ["tuned", "_start"] and what["kept"] == {"blend": "right"}
    rows = collect.frame(
        "metrics", list(collect.metrics(collect.Paths(flow.results, "tuned", "uniform", 0, None), what))
    )
    lost = float(rows.loc[rows["metric"] == "forgetting", "value"].iloc[0])
    assert lost == pytest.approx(
        measured["uniform"]["kept"]["loss"]["blend"] - start["loss"]["blend"], abs=1e-8
    )
    assert [str(flow.path(name)) for name in paths.start_metrics(flow.cfg)] == [
        str(before / f"seed{seed}.json") for seed in (0, 1)
    ]
    # All embeddings are new and charged; nobody trained a proxy.
    assert what["methods"]["chameleon"]["charged_corpora"] == ["left"]
    assert not what["methods"]["chameleon"]["charged_proxy"]


def test_lora_few_shot_and_the_right_answers(config, tmp_path):
    config["scenarios"]["tuned"]["methods"], config["seeds"] = ["uniform"], [0]
    put(config, "scenarios.tuned.base.lora", {"rank": 2})
    flow = Flow(config, tmp_path / "results").text()
    assert specs.train(flow.cfg, "tuned", "uniform", 0)["lora"] == {"rank": 2, "alpha": 4}
    folder = flow.run("uniform")
    record = read_json(folder / "run.json", "run")
    assert 0 < record["trained_parameters"] < record["parameters"] / 2
    curve = [sum(p["loss"].values()) for p in read_json(folder / "curve.json")["points"]]
    assert curve[-1] < curve[0] - 0.01
    merged = load_model(folder / "model")
    start = load_model(flow.path(paths.start_model(flow.cfg, "tuned", "0")))
    old, new = (dict(m.named_parameters()) for m in (start, merged))
    assert old.keys() == new.keys()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved == {name for name in old if name.startswith("blocks.") and "_proj" in name}

    text.items(specs.items(flow.cfg), flow.results / "fewshot" / "tasks")
    out = flow.results / "fewshot" / "tuned.json"
    fewshot.fewshot(specs.fewshot(flow.cfg, "tuned"), flow.results, out, 1)
    scores = read_json(out, "fewshot")["scores"]
    assert [s["shots"] for s in scores] == [0, 1] and all(0 <= s["acc"] <= 1 for s in scores)


def test_an_answers_likelihood_is_that_of_transformers(theirs):
    from chameleon.evaluation.scorer import Memo, Scorer
    from chameleon.training.hf.decoder import HfDecoder

    lm = AutoModelForCausalLM.from_pretrained(theirs, dtype=torch.float32).eval()
    scorer = Scorer(HfDecoder(lm, 16).eval(), Memo(AutoTokenizer.from_pretrained(theirs)))
    prompts = [[5, 6, 7], [5, 6, 7], list(range(40, 70)), [9]]
    answers = [[1, 2], [3], [8, 9, 10], [4, 4, 4, 4]]
    found = scorer._loglikelihood_tokens([(None, p, a) for p, a in zip(prompts, answers, strict=True)])
    for prompt, answer, (value, greedy) in zip(prompts, answers, found, strict=True):
        ids = torch.tensor([(prompt + answer)[-17:]])
        with torch.no_grad():
            logs = lm(ids[:, :-1]).logits[0, -len(answer) :].log_softmax(-1)
        picked = logs[torch.arange(len(answer)), torch.tensor(answer)]
        assert value == pytest.approx(float(picked.sum()), rel=1e-5)
        assert greedy == bool((logs.argmax(-1) == torch.tensor(answer)).all())


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 4}])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(config, tmp_path, monkeypatch, lora):
    config["scenarios"]["tuned"]["methods"] = ["uniform"]
    if lora:
        put(config, "scenarios.tuned.base.lora", lora)
    flow = Flow(config, tmp_path / "results").text()
    whole = {file.name: file.read_bytes() for file in _written(flow.run("uniform"))}
    save = states.States.save

    class Killed(Exception):
        """Stands for kill -9."""

    def killed(self, step, value):
        save(self, step, value)
        raise Killed

    monkeypatch.setattr(states.States, "save", killed)
    with pytest.raises(Killed):
        flow.run("uniform", states="3steps")
    monkeypatch.setattr(states.States, "save", save)
    again = {file.name: file.read_bytes() for file in _written(flow.run("uniform", states="3steps"))}
    assert again == whole and len(whole) == 5


def _written(folder):
    return [
        folder / name
        for name in (
            "model/model.safetensors",
            "model/config.json",
            "training.csv",
            "mixture.json",
            "curve.json",
        )
    ]
