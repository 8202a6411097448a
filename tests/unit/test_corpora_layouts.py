"""The papers' sets, laid out as on the hub, make the same documents and token shards as text of one's own."""

import json
import random

import pytest
from test_corpora_hub_entries import ARTICLE, entry, write
from toy_config import PREPARED

from chameleon.core.artifacts import read_json
from chameleon.data.corpora import prepare as preparing
from chameleon.data.corpora.kinds import hub
from chameleon.data.tokenizer import train_tokenizer
from chameleon.stages import text as stages

DATA = {
    **PREPARED,
    "min_characters": 20,
    "split": {"validation": 0.2, "test": 0.2},
    "dedup": {**PREPARED["dedup"], "near": True},
}


def story(domain, number):
    pick = random.Random(f"{domain}{number}")
    return " ".join(f"{domain[:3]}{pick.randrange(900)}" for _ in range(30))


def by_field(name, root, split):
    """Rows of all domains mixed, their domain in a nested field."""
    made = entry(name, root)
    field = made["domain_field"].partition(".")[2]
    rows = [(domain, i) for i in range(40) for domain in made["domains"]]
    for part in range(3):
        mine = rows[part::3]
        meta = [{field: made["domains"][domain]} for domain, _ in mine]
        file = root / f"{split}-{part:05d}-of-00003.parquet"
        write(file, text=[story(domain, i) for domain, i in mine], meta=meta)
    return made


def slimpajama(root):
    return by_field("slimpajama_6b", root, "train")


def the_pile(root):
    return by_field("the_pile", root, "validation")


def wiki40b(root):
    """A configuration per language, with the set's own marks in the text."""
    made, card = entry("wiki40b", root), ["---", "configs:"]
    for domain, code in made["configs"].items():
        for split in ("train", "validation", "test"):
            texts = [ARTICLE.format(f"{split} {story(domain, i)}") for i in range(40)]
            write(root / code / f"{split}-00000-of-00001.parquet", wikidata_id=["Q1"] * 40, text=texts)
        card += [f"- config_name: {code}", "  data_files:"]
        card += [f"  - split: {s}\n    path: {code}/{s}-*" for s in ("train", "validation", "test")]
    (root / "README.md").write_text("\n".join([*card, "---", ""]))
    return made


def the_stack(root):
    """A folder per language."""
    made = entry("the_stack", root)
    for domain, folder in made["data_dirs"].items():
        content = [story(domain, i) for i in range(40)]
        write(root / folder / "data-00000-of-00001.parquet", content=content, lang=["x"] * 40)
    return made


@pytest.mark.parametrize("layout", [slimpajama, the_pile, wiki40b, the_stack])
def test_a_set_of_the_hub_makes_the_shards_of_the_same_text_at_home(layout, tmp_path, monkeypatch):
    passes, read = [], hub.data_set_rows
    monkeypatch.setattr(hub, "data_set_rows", lambda *of: passes.append(of[1:]) or read(*of))
    (tmp_path / "hub").mkdir()
    made = layout(tmp_path / "hub")
    key = next(key for key in ("domains", "configs", "data_dirs") if key in made)
    names = list(made[key])
    for domain in names:
        texts = [story(domain, i) for i in range(40)]
        if layout is wiki40b:
            texts = [f"train {t} title\n\nHistory\n\nFirst line.\nSecond line." for t in texts]
        (tmp_path / "home" / domain).mkdir(parents=True)
        rows = "\n".join(json.dumps({"text": t}) for t in texts)
        (tmp_path / "home" / domain / "all.jsonl").write_text(rows)
    home = {"kind": "local", "path": str(tmp_path / "home")}
    for name, of in (("hub", made), ("home", home)):
        spec = {"corpus": "mine", "entry": of, "domains": names, "data": DATA, "version": 1}
        preparing.prepare(spec, tmp_path / "prepared" / name, 1)
    # One pass over a set that holds all domains, one over each domain's own.
    assert len(passes) == len(set(passes)) and len({domain for domain, _ in passes}) in (1, len(names))
    assert (key == "domains") == ({domain for domain, _ in passes} == {None})
    bpe = {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 500, "seed": 0}
    files = [("mine", d, tmp_path / "prepared" / "home" / f"{d}.parquet") for d in names]
    train_tokenizer(bpe, files, tmp_path / "tokenizer")
    shards = {}
    for name in ("hub", "home"):
        out, corpus = tmp_path / "tokens" / name, tmp_path / "prepared" / name
        spec = {"corpus": "mine", "domains": names, "shard_tokens": 4096, "version": 1}
        stages.tokens(spec, corpus, tmp_path / "tokenizer", out, 1)
        shards[name] = read_json(out / "manifest.json")["sha256"]
        for domain in names:
            file, same = (tmp_path / "prepared" / of / f"{domain}.parquet" for of in ("home", name))
            assert file.read_bytes() == same.read_bytes()
    assert shards["hub"] == shards["home"]
