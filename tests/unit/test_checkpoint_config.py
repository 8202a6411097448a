"""Checkpoints in a config: what is accepted, what a job's spec says of them, what is refused and how."""

import copy
from pathlib import Path

import pytest
import tiny_checkpoints as tiny
from toy_config import put, refused
from unit.checkpoint_configs import ITEMS, tuned

from chameleon.experiment import checkpoints, paths, specs
from chameleon.experiment.load import load
from chameleon.pricing import memory
from chameleon.pricing.jobs import Walk


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A checkpoint with its tokenizer."""
    return tiny.write(tmp_path_factory.mktemp("theirs") / "Tiny-Llama")


@pytest.fixture
def config(raw, theirs):
    return tuned(raw, theirs)


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
    plain = copy.deepcopy(config)
    put(config, "scenarios.tuned.base.lora", {"rank": 4})
    cheaper = {job.name: job for job in Walk(load(config)).all()}["base tuned uniform 0"].train_flops
    assert cheaper == pytest.approx(jobs["base tuned uniform 0"].train_flops * 2 / 3)
    plain, low = (memory.needs(load(c), Walk(load(c)).all(), 300) for c in (plain, config))
    assert [n.objective for n in plain if n.scale == "theirs"] == [""]
    assert [n.objective for n in low if n.scale == "theirs"] == ["LoRA"]
    assert low[0].bytes < plain[0].bytes


@pytest.mark.parametrize("where", ["cache", "results"])
def test_a_name_on_the_hub_is_priced_as_what_it_is_where_that_is_here(
    config, theirs, monkeypatch, tmp_path, where
):
    config["results_dir"] = str(tmp_path)
    local = {job.name: job for job in Walk(load(config)).all()}["base tuned uniform 0"]
    for role in ("proxy", "base"):
        put(config, f"scenarios.tuned.{role}.checkpoint", "nobody/no-such-model@v1")
    put(config, "tokenizer.path", "nobody/no-such-model")
    config["scales"]["theirs"]["model"] |= {"n_layer": 3, "n_head": 2, "d_model": 16}

    def priced():
        return {job.name: job for job in Walk(load(config)).all()}["base tuned uniform 0"]

    assert priced().train_flops != local.train_flops
    if where == "cache":
        held = {("nobody/no-such-model", "config.json", "v1"): str(theirs / "config.json")}
        monkeypatch.setattr(
            "huggingface_hub.try_to_load_from_cache", lambda *of, revision: held.get((*of, revision))
        )
        assert priced().train_flops == local.train_flops
    else:
        cfg = load(config)
        (name,) = cfg.checkpoints
        folder = Path(cfg.results, "checkpoints", name, "model")
        folder.mkdir(parents=True)
        (folder / "config.json").write_bytes((theirs / "config.json").read_bytes())
        assert priced().train_flops == local.train_flops


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
    "lora": ("base.lora", {"alpha": 2}, "scenarios.tuned.base.lora: 'rank' is a required property"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(config, name):
    key, value, words = MISTAKES[name]
    put(config, f"scenarios.tuned.{key}", value)
    assert words in refused(config)


def test_gradients_by_domain_are_not_loras(config):
    config["scenarios"]["tuned"]["methods"] = ["uniform", "pike"]
    assert load(config)
    put(config, "scenarios.tuned.base.lora", {"rank": 2})
    assert "methods: pike: takes gradients of whole matrices apart; base.lora has none" in refused(config)


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
