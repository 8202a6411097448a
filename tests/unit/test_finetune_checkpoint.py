"""A checkpoint through the stages, from text to tidy rows: what the workflow does, in this process."""

import copy
from pathlib import Path

import pytest
import tiny_checkpoints as tiny
import torch
from toy_config import put, refused
from transformers import AutoModelForCausalLM, AutoTokenizer

from chameleon.core.artifacts import read_json
from chameleon.data.corpora.fetch import fetch
from chameleon.experiment import checkpoints, paths, specs
from chameleon.experiment.load import load
from chameleon.pricing.jobs import Walk
from chameleon.reporting.records import collect
from chameleon.stages import fewshot, measure, runs, text, weighting
from chameleon.training.pretrained.checkpoint import load as load_model
from chameleon.training.resume import states

ITEMS = str(Path(__file__).parents[1] / "data" / "items")
METHODS = ["uniform", "natural", "temperature", "fixed", "chameleon", "base", "permuted", "lexical", "aioli"]
PARAMS = {
    "fixed": {"weights": {"twin_one": 0.75, "unique": 0.25}},
    "base": {"method": "chameleon", "embed_with": "base", "mode": "finetune"},
    "permuted": {"of": "chameleon"},
    "lexical": {"method": "chameleon_lexical"},
    "aioli": {"prior_steps": 1, "update_steps": 4, "lp_steps": 1, "most_probing": 0.5},
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A checkpoint with its tokenizer."""
    return tiny.write(tmp_path_factory.mktemp("theirs") / "Tiny-Llama")


@pytest.fixture
def config(raw, theirs):
    """The toy config, with a scenario that finetunes the checkpoint on the left corpus."""
    checkpoint = {"checkpoint": str(theirs), "scale": "theirs"}
    raw["scenarios"] = {
        "tuned": {
            "kind": "finetune",
            "corpora": ["left"],
            "proxy": {**checkpoint},
            "base": {**checkpoint, "kept": ["right"]},
            "methods": list(METHODS),
            "fewshot": True,
        }
    }
    raw["run"], raw["seeds"], raw["method_params"] = ["tuned"], [0, 1], copy.deepcopy(PARAMS)
    raw["tokenizer"] = {"kind": "hf", "path": str(theirs)}
    for corpus in ("left", "right"):
        raw["corpora"][corpus]["documents"] = 60
    train = {"optimizer": "adamw", "lr": 0.01, "batch_size": 4, "steps": 8, "grad_accumulation": 2}
    raw["scales"]["theirs"] = {"model": {"context": 16}, "train": train}
    raw["evaluation"] |= {"curve_points": [0.5, 1.0], "curve_tokens": 64}
    raw["evaluation"]["fewshot"] = {
        "source": "items",
        "path": ITEMS,
        "tasks": ["habits"],
        "shots": [0, 1],
        "limit": 4,
    }
    return raw


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
    from chameleon.training.pretrained.decoder import Pretrained

    lm = AutoModelForCausalLM.from_pretrained(theirs, dtype=torch.float32).eval()
    scorer = Scorer(Pretrained(lm, 16).eval(), Memo(AutoTokenizer.from_pretrained(theirs)))
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


def test_sizes_come_from_the_checkpoint_or_are_compared(config, theirs):
    assert "n_layer" not in config["scales"]["theirs"]["model"]
    cfg = load(config)
    assert cfg.raw["scales"]["theirs"]["model"] == {"context": 16, "n_layer": 3, "n_head": 2, "d_model": 16}
    assert "n_layer" not in config["scales"]["theirs"]["model"], "what was given stays as it is"
    spec = specs.train(cfg, "tuned", "uniform", 0)
    assert spec["start"] == {"checkpoint": str(theirs)} and "lora" not in spec
    put(config, "scales.theirs.model.n_layer", 4)
    assert "scales.theirs.model.n_layer: 4, but checkpoint" in refused(config) and "has 3" in refused(config)


def test_a_changed_checkpoint_is_another_job(config, tmp_path):
    folder = tiny.write(tmp_path / "theirs")
    for role in ("proxy", "base"):
        put(config, f"scenarios.tuned.{role}.checkpoint", str(folder))
    put(config, "tokenizer.path", str(folder))

    def spec():
        cfg = load(config)
        return specs.checkpoint(cfg, next(iter(cfg.checkpoints)))

    first = spec()
    assert first == spec()
    (folder / "README.md").write_text("not read")
    assert first == spec()
    tiny.write_model(folder, "llama", max_shard_size="8KB")
    assert spec()["files"] != first["files"]


def test_a_name_on_the_hub_needs_no_network_to_be_checked_and_planned(config):
    for role in ("proxy", "base"):
        put(config, f"scenarios.tuned.{role}.checkpoint", "nobody/no-such-model@v1")
    put(config, "tokenizer.path", "nobody/no-such-model")
    words = "scales.theirs.model.n_layer: missing; only beside a checkpoint in a folder with a config.json"
    assert words in refused(config)
    config["scales"]["theirs"]["model"] |= {"n_layer": 30, "n_head": 9, "d_model": 576}
    cfg = load(config)
    (name,) = cfg.checkpoints
    assert "files" not in specs.checkpoint(cfg, name) and name.startswith("no_such_model_")
    jobs = {job.name: job for job in Walk(cfg).all()}
    assert f"checkpoint {name}" in jobs["base tuned uniform 0"].needs
    assert jobs["start tuned"].forward_flops == jobs["evaluate tuned uniform 0"].forward_flops
    put(config, "scenarios.tuned.base.lora", {"rank": 4})
    cheaper = {job.name: job for job in Walk(load(config)).all()}["base tuned uniform 0"].train_flops
    assert cheaper == pytest.approx(jobs["base tuned uniform 0"].train_flops * 2 / 3)


MISTAKES = {
    "no folder": ("base.checkpoint", "./nowhere", "base.checkpoint: './nowhere': no such folder or file"),
    "no name": (
        "base.checkpoint",
        "a b",
        "base.checkpoint: 'a b' is neither a folder, a .gguf file nor a name",
    ),
    "of too": ("base.of", "tuned", "base: give either checkpoint or of"),
    "steps": ("proxy.steps", 3, "proxy: give either checkpoint or steps"),
    "kind": ("kind", "pretrain", "base.checkpoint: only for kind finetune, not pretrain"),
    "kept": ("base.kept", ["nothing"], "base.kept: 'nothing' is not one of left, right"),
    "kept twice": ("base.kept", ["left"], "base.kept: domain 'twin_one' is in left and left"),
    "trains proxies": (
        "methods",
        ["uniform", "doremi"],
        "methods: doremi: trains models like the proxy, which is a",
    ),
    "untrained": ("embed_with", "untrained", "trains models like the proxy, which is a checkpoint"),
    "gradients": ("methods", ["pike"], "methods: pike: takes gradients apart in a decoder of our own"),
    "lora": ("base.lora", {"alpha": 2}, "scenarios.tuned.base.lora: 'rank' is a required property"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(config, name):
    key, value, words = MISTAKES[name]
    put(config, f"scenarios.tuned.{key}", value)
    assert words in refused(config)


def test_mistakes_outside_of_the_scenario(config, theirs, tmp_path):
    found = []
    for path, value in (
        ("scales.theirs.model.context", 65),
        ("tokenizer", {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 1000, "seed": 0}),
        (
            "tokenizer.path",
            str(tiny.write_tokenizer(tmp_path / "large", 400, " ".join(map(str, range(2000))))),
        ),
        ("tokenizer", {"kind": "hf"}),
    ):
        raw = copy.deepcopy(config)
        put(raw, path, value)
        found.append(refused(raw))
    assert "scales.theirs.model.context: 65 is longer than the 64 of checkpoint" in found[0]
    assert (
        f"checkpoint: it reads its own tokenizer only; write tokenizer: {{kind: hf, path: {theirs}}}"
        in found[1]
    )
    assert "400 tokens, but checkpoint" in found[2] and "has 300 embeddings" in found[2]
    assert "tokenizer.path: missing; kind 'hf' takes a folder or a name on the hub" in found[3]


def test_a_proxy_from_scratch_beside_a_checkpoint(config):
    """Methods that train proxies then train them with the checkpoint's tokenizer."""
    config["scenarios"]["tuned"] |= {
        "proxy": {"scale": "tiny"},
        "methods": ["uniform", "doremi", "chameleon"],
    }
    cfg = load(config)
    assert cfg.embedder("tuned", "chameleon") == "proxy_tuned"
    assert (
        paths.reference_record(cfg, "tuned", "doremi", "0", "proxy")
        == "<results>/proxies/tuned/seed0/run.json"
    )
    names = [job.name for job in Walk(cfg).all()]
    assert "proxy tuned 0" in names and "extra tuned doremi 0 proxy" in names


def test_a_checkpoint_embeds_for_base_models_from_scratch(config, theirs):
    config["scenarios"]["tuned"] |= {"kind": "pretrain", "base": {"scale": "tiny"}, "methods": ["chameleon"]}
    cfg = load(config)
    (name,) = cfg.checkpoints
    assert cfg.embedder("tuned", "chameleon") == f"base_{name}" and specs.start_of(cfg, "tuned") is None
    assert paths.embedder_model(cfg, f"base_{name}", "0") == f"<results>/checkpoints/{name}/model"
    assert specs.train(cfg, "tuned", "chameleon", 0)["start"] is None


def test_sentences_need_no_model_of_the_scenario(config):
    config["scenarios"]["tuned"] |= {"embed_with": "sentences", "methods": ["chameleon"]}
    config["sentences"] = {"encoder": str(Path(ITEMS).parent / "encoder")}
    assert load(config).embedder("tuned", "chameleon") == "sentences"


def test_names_of_checkpoints_in_paths():
    one, other = checkpoints.slug("Owner/A.B-c@main", 512), checkpoints.slug("Owner/A.B-c@main", 256)
    assert one.startswith("a_b_c_") and one != other and one != checkpoints.slug("Else/A.B-c", 512)
