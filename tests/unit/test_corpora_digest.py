"""A change of the user's own text is seen while jobs are planned; whatever leaves the text alone is not."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from chameleon.core.errors import UserError
from chameleon.data.corpora import digest as module
from chameleon.data.corpora.base import text_digest
from chameleon.experiment import specs
from chameleon.experiment.load import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two domains of one file each, and a cache of our own."""
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path / "cache"))
    for domain in ("law", "verse"):
        (tmp_path / "mine" / domain).mkdir(parents=True)
        (tmp_path / "mine" / domain / "a.txt").write_text(f"text of {domain}")
    return tmp_path / "mine"


def found(folder: Path, *domains: str, **entry: Any) -> str | None:
    given = {"kind": "local", "path": str(folder), **entry}
    return text_digest(given, domains or ("law", "verse"))


def age(folder: Path, seconds: int = 100) -> None:
    """Make files look as if they had been written a while ago."""
    for path in folder.rglob("*.txt"):
        at = path.stat().st_mtime_ns - seconds * 10**9
        os.utime(path, ns=(at, at))


def test_what_changes_the_text_changes_the_digest(folder: Path) -> None:
    seen = [found(folder)]
    assert seen[0] is not None and len(seen[0]) == 64
    (folder / "law" / "b.txt").write_text("more")
    seen.append(found(folder))
    (folder / "law" / "b.txt").write_text("less")  # as long as it was
    seen.append(found(folder))
    (folder / "law" / "b.txt").rename(folder / "law" / "c.txt")
    seen.append(found(folder))
    shutil.move(folder / "law" / "c.txt", folder / "verse" / "c.txt")
    seen.append(found(folder))
    (folder / "verse" / "a.txt").unlink()
    seen.append(found(folder))
    assert len(set(seen)) == len(seen)


def test_what_leaves_the_text_alone_leaves_the_digest(folder: Path, tmp_path: Path) -> None:
    before = found(folder)
    age(folder)
    assert found(folder) == before, "touched"
    (folder / "law" / "notes.md").write_text("not read")
    (folder / "other").mkdir()
    (folder / "other" / "a.txt").write_text("a domain that is not used")
    assert found(folder, "law", "verse") == before
    shutil.copytree(folder, tmp_path / "copy")
    assert found(tmp_path / "copy") == before, "elsewhere"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert found(folder) == before, "without a cache"
    assert found(Path(os.path.relpath(folder))) == before


def test_a_file_is_read_once_for_as_long_as_it_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", -1.0)  # files of this moment count as old
    read: list[str] = []

    def sha256(path: Path) -> str:
        read.append(path.name)
        return module.fingerprint(path.read_text())

    monkeypatch.setattr(module, "sha256_file", sha256)
    before = found(folder)
    assert found(folder) == before and read == ["a.txt", "a.txt"]
    (folder / "law" / "b.txt").write_text("more")
    assert found(folder) != before and read[2:] == ["b.txt"]
    for cache in folder.parent.glob("cache/text/*.json"):
        cache.write_text(json.dumps({"law/a.txt": "nonsense"}))
    assert found(folder) != before and len(read) == 6, "a cache that is none is made again"


def test_a_file_changed_just_now_is_read_again(folder: Path) -> None:
    """Two changes within a tick of the file system's clock have the same times."""
    state = (folder / "law" / "a.txt").stat()
    before = found(folder)
    (folder / "law" / "a.txt").write_text("TEXT of law")
    os.utime(folder / "law" / "a.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert found(folder) != before


def test_a_cache_that_cannot_be_written_costs_time_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found(folder)
    (folder.parent / "file").write_text("x")
    monkeypatch.setenv("CHAMELEON_CACHE", str(folder.parent / "file" / "cache"))
    assert found(folder) == before


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(UserError, match=r"law/b\.txt: cannot be read: No such file"):
        module.digest(folder, [folder / "law" / "a.txt", folder / "law" / "b.txt"])


def test_only_what_is_on_this_machine_has_a_digest(tmp_path: Path) -> None:
    hub = {"kind": "hf", "path": "owner/name", "split": "train", "text_field": "t", "configs": {"a": "b"}}
    assert text_digest(hub, ["a"]) is None
    assert text_digest({"kind": "synthetic"}, ["unique"]) is None
    assert text_digest({"kind": "registry", "set": "slim7"}, ["books"]) is None
    (tmp_path / "set" / ".cache").mkdir(parents=True)
    (tmp_path / "set" / ".cache" / "x").write_text("hidden")
    (tmp_path / "set" / "train.jsonl").write_text("{}")
    local = hub | {"path": str(tmp_path / "set")}
    first = text_digest(local, ["a"])
    (tmp_path / "set" / ".cache" / "x").write_text("hidden still")
    assert first is not None and text_digest(local, ["a"]) == first
    (tmp_path / "set" / "train.jsonl").write_text("[]")
    assert text_digest(local, ["a"]) != first


def test_specs_carry_it_and_stay_as_they_were_without_it(raw: dict[str, Any], folder: Path) -> None:
    assert set(specs.fetch(load(raw), "left")) == {"corpus", "entry", "domains"}
    raw["corpora"]["right"] = {"kind": "local", "path": str(folder)}
    before = load(raw)
    old = [stage(before, "right") for stage in (specs.fetch, specs.prepare)]
    (folder / "law" / "a.txt").write_text("another text")
    after = load(raw)
    new = [stage(after, "right") for stage in (specs.fetch, specs.prepare)]
    assert all(
        a["text"] != b["text"] and {**a, "text": 0} == {**b, "text": 0} for a, b in zip(old, new, strict=True)
    )
    # Nothing else has it: what follows runs again because its inputs are made again.
    assert specs.tokens(before, "right") == specs.tokens(after, "right")
    assert before.tokenizer_fingerprint == after.tokenizer_fingerprint


def test_another_tokenizer_in_the_same_folder_is_seen(raw: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_text("{}")
    raw["tokenizer"] = {"kind": "gpt2", "path": str(tmp_path / "tok")}
    before = specs.tokenizer(load(raw))
    (tmp_path / "tok" / "model.safetensors").write_text("not read for it")
    assert specs.tokenizer(load(raw)) == before
    (tmp_path / "tok" / "tokenizer.json").write_text("[]")
    assert specs.tokenizer(load(raw))["files"] != before["files"]
    raw["tokenizer"] = {"kind": "gpt2"}
    assert "files" not in specs.tokenizer(load(raw)), "that of the hub"
