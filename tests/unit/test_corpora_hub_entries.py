"""The hub entries of config.yaml through the real loader, on local folders of the same layout."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from raw_documents import iter_documents

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import domain_names
from chameleon.data.corpora.clean import clean

ENTRIES = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["corpora"]


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Not inside the folder that is loaded: its own files would be taken for data.
    cache = tmp_path.parent / f"{tmp_path.name}-cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(cache))
    datasets.disable_progress_bars()


def write(file, **columns):
    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), file)


def entry(name, root):
    """Return the config's entry, pointed at a local folder; a folder has no revisions."""
    return {k: v for k, v in ENTRIES[name].items() if k != "revision"} | {"path": str(root)}


def test_the_pile(tmp_path):
    """One folder per split, the domain in a nested struct: the layout of the hub's parquet conversion."""
    names = list(ENTRIES["the_pile"]["domains"].values())
    rows = [(f"{name} {i}", name) for i in range(2) for name in names]
    meta = [{"pile_set_name": name} for _, name in rows]
    write(tmp_path / "default" / "validation" / "0000.parquet", text=[t for t, _ in rows], meta=meta)
    pile = entry("the_pile", tmp_path)
    domains = domain_names("the_pile", pile)
    assert len(domains) == len(set(names)) == 22
    for domain in domains:
        name = pile["domains"][domain]
        assert list(iter_documents(pile, domain)) == [f"{name} 0", f"{name} 1"]


def test_the_pile_can_be_added_to_slimpajama():
    """A scenario's domains need names of their own across its corpora."""
    old = set(domain_names("slimpajama_6b", ENTRIES["slimpajama_6b"]))
    assert not old & set(domain_names("the_pile", ENTRIES["the_pile"]))


ARTICLE = (
    "\n_START_ARTICLE_\n{0} title\n_START_SECTION_\nHistory"
    "\n_START_PARAGRAPH_\nFirst line._NEWLINE_Second line."
)


def test_wiki40b(tmp_path):
    """One configuration per language, named in the data set's card; its marks become line breaks."""
    languages = ENTRIES["wiki40b"]["configs"].values()
    card = ["---", "configs:"]
    for code in languages:
        for split in ("train", "validation", "test"):
            texts = [ARTICLE.format(f"{code} {split}")]
            write(tmp_path / code / f"{split}-00000-of-00001.parquet", wikidata_id=["Q1"], text=texts)
        card += [f"- config_name: {code}", "  data_files:"]
        card += [f"  - split: {s}\n    path: {code}/{s}-*" for s in ("train", "validation", "test")]
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]))
    wiki = entry("wiki40b", tmp_path)
    assert len(domain_names("wiki40b", wiki)) == 7
    for domain in ("french", "polish"):
        (document,) = iter_documents(wiki, domain)
        title = f"{wiki['configs'][domain]} train title"
        assert clean(document) == f"{title}\n\nHistory\n\nFirst line.\nSecond line."


def test_the_stack(tmp_path):
    """One folder of parquet files per programming language; the first documents of each are taken."""
    stack = entry("the_stack", tmp_path)
    for folder in stack["data_dirs"].values():
        for part in range(2):
            content = [f"{folder} {part} {row}" for row in range(2)]
            write(tmp_path / folder / f"data-0000{part}-of-00002.parquet", content=content, lang=["x"] * 2)
    assert len(domain_names("the_stack", stack)) == 7
    for domain in ("python", "c", "cpp"):
        documents = list(iter_documents(stack | {"max_documents": 3}, domain))
        folder = stack["data_dirs"][domain]
        assert documents == [f"{folder} 0 0", f"{folder} 0 1", f"{folder} 1 0"]


@pytest.mark.parametrize("pair", [["(", ""], ["a"], 3])
def test_a_bad_substitution_is_one_line(pair):
    with pytest.raises(UserError) as caught:
        domain_names("wiki40b", ENTRIES["wiki40b"] | {"substitutions": [pair]})
    assert "corpora.wiki40b.substitutions" in str(caught.value) and "\n" not in str(caught.value)
