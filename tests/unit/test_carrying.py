"""Carried jobs: which must run, what an archive may hold, what is taken over, how a failure is told."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from chameleon.carrying import archive
from chameleon.carrying.carry import travelling
from chameleon.carrying.job import Job, undone
from chameleon.carrying.merge import _check, _complete
from chameleon.carrying.play import play
from chameleon.core.artifacts import sha256_file, write_json
from chameleon.core.errors import Interrupted, UserError
from chameleon.integrity.compare import elsewhere
from chameleon.integrity.digests import Claim


def job(name: str, inputs: list[str], outputs: list[str], rule: str = "", priority: int = 0) -> Job:
    """Return a job; outputs that end in `model` are folders."""
    return Job(
        name=name,
        rule=rule or name,
        command=["job", "unheard_of", "--spec", json.dumps({"of": name})],
        log=f"logs/{name}.log",
        threads=1,
        priority=priority,
        inputs=inputs,
        outputs=outputs,
        folders=[path for path in outputs if path.endswith("model")],
    )


PROXY = job("proxy", ["tokens/manifest.json"], ["proxy/model", "proxy/run.json"])
EMBED = job("embed", ["proxy/model"], ["embeddings/a.json", "embeddings/a.run.json"])
TRAIN = job("train", ["embeddings/a.json"], ["run/model", "run/run.json"])
TEST = job("test", ["run/model"], ["metrics/a.json", "metrics/a.run.json"], rule="evaluate")
TABLE = job("table", ["metrics/a.json", "run/run.json"], ["table.md"])
ALL = [PROXY, EMBED, TRAIN, TEST, TABLE]


def do(one: Job, root: Path) -> None:
    """Write what a job writes."""
    for path in one.outputs:
        file = root / path / "weights" if path in one.folders else root / path
        write_json(file, {"spec": one.spec} if path.endswith("run.json") else {})


def test_tests_of_models_travel_with_all_that_they_wait_for() -> None:
    assert travelling(ALL) == [PROXY, EMBED, TRAIN, TEST]


def test_a_model_is_made_again_only_for_who_needs_it(tmp_path: Path) -> None:
    four = ALL[:4]
    assert undone(four, tmp_path) == four
    for one in (PROXY, EMBED, TRAIN):
        do(one, tmp_path)
    assert undone(four, tmp_path) == [TEST]
    (tmp_path / "proxy" / "model" / "weights").unlink()
    (tmp_path / "proxy" / "model").rmdir()
    assert undone(four, tmp_path) == [TEST], "its embeddings are there"
    (tmp_path / "run" / "model" / "weights").unlink()
    (tmp_path / "run" / "model").rmdir()
    assert undone(four, tmp_path) == [TRAIN, TEST]
    (tmp_path / "embeddings" / "a.json").unlink()
    assert undone(four, tmp_path) == four


def test_what_another_spec_left_does_not_count(tmp_path: Path) -> None:
    do(PROXY, tmp_path)
    write_json(tmp_path / "proxy" / "run.json", {"spec": {"of": "other"}})
    assert not PROXY.made(tmp_path)


def test_a_manifest_goes_with_its_shards_and_without_states(tmp_path: Path) -> None:
    files = ("tokens/manifest.json", "tokens/run.json", "tokens/a/train.bin", "tokens/states/s", "mine.json",
             "proxy/run.json", "proxy/model/weights", "weights/s.json", "weights/s.run.json",
             "weights/t.json")  # fmt: skip
    for name in files:
        write_json(tmp_path / name, {})
    found = archive.company(["tokens/manifest.json", "mine.json", "proxy/model", "weights/s.json"], tmp_path)
    assert sorted(found) == sorted(set(files) - {"tokens/states/s", "weights/t.json"})


def test_an_archive_comes_back_as_it_went_and_keeps_dates(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b.json", {"x": 1})
    assert archive.write(tmp_path / "out.tar.gz", ALL, ["a/b.json"], tmp_path) > 0
    jobs, files = archive.read(tmp_path / "out.tar.gz")
    assert jobs == ALL and list(files) == ["a/b.json"]
    archive.place(files, tmp_path / "new")
    there = tmp_path / "new" / "a" / "b.json"
    assert there.read_bytes() == (tmp_path / "a" / "b.json").read_bytes()
    before = there.stat().st_mtime_ns
    archive.place(files, tmp_path / "new")
    assert there.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["/etc/mine", "../mine", "a/../../mine"])
def test_nothing_is_put_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / "mine", {})
    with pytest.raises(UserError, match="outside"):
        archive.write(tmp_path / "out.tar.gz", [], [name], tmp_path)
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        for member, data in ((archive.LIST, b"[]"), (name, b"x")):
            head = tarfile.TarInfo(member)
            head.size = len(data)
            tar.addfile(head, io.BytesIO(data))
    with pytest.raises(UserError, match="outside"):
        archive.read(tmp_path / "bad.tar.gz")


def test_another_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(UserError, match="no archive of carry or play"):
        archive.read(tmp_path / "x")


def test_a_model_whose_reader_is_not_done_is_not_taken_over() -> None:
    four = ALL[:4]
    assert _complete(four, four) == four
    assert _complete(four[:3], four) == [PROXY, EMBED]
    assert _complete(four[:1], four) == []


def test_a_file_that_its_job_did_not_write_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"losses": 1})
    digest = sha256_file(tmp_path / "a.json")
    record = {
        "schema": 1, "stage": "embed", "spec": EMBED.spec, "fingerprint": "0" * 64, "seeds": {},
        "git": {"commit": None, "dirty": None}, "versions": {}, "device": "x", "threads": 1, "inputs": {},
        "outputs": {"embeddings/a.json": digest}, "started": "x", "finished": "x",
        "cost": {"tokens": 0, "flops": 0.0, "seconds": 0.0},
    }  # fmt: skip
    one = replace(EMBED, rule="forecast")
    files = {"embeddings/a.json": (tmp_path / "a.json").read_bytes()}
    files["embeddings/a.run.json"] = json.dumps(record).encode()
    _check(one, files, Path("played"))
    with pytest.raises(UserError, match="is not what embed knew"):
        _check(one, {**files, "embeddings/a.json": b"{}"}, Path("played"))
    with pytest.raises(UserError, match=r"a\.json of embed is missing"):
        _check(one, {"embeddings/a.run.json": b"{}"}, Path("played"))
    other = json.dumps({**record, "spec": {"of": "other"}}).encode()
    with pytest.raises(UserError, match="record of another job"):
        _check(one, {**files, "embeddings/a.run.json": other}, Path("played"))


def test_a_failure_is_told_after_the_rest_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    do(PROXY, tmp_path)
    archive.write(Path("carried.tar.gz"), [PROXY, EMBED, TRAIN], [])
    with pytest.raises(UserError, match=r"1 jobs failed, first embed: .*invalid choice: 'unheard_of'"):
        play(Path("carried.tar.gz"), Path("played.tar.gz"), 2, None)
    assert "played.tar.gz: 1 of 3 jobs" in capsys.readouterr().out
    assert [one.name for one in archive.read(Path("played.tar.gz"))[0]] == ["proxy"]
    with pytest.raises(UserError, match="--jobs: 0"):
        play(Path("carried.tar.gz"), Path("played.tar.gz"), 0, None)
    with pytest.raises(Interrupted, match="2 jobs are left"):
        play(Path("carried.tar.gz"), Path("played.tar.gz"), 2, 0.0)


def test_verify_notes_models_that_stayed_and_misses_others(tmp_path: Path) -> None:
    stayed, lost = (tmp_path / run / "model" / "model.safetensors" for run in ("a", "b"))
    claims = [Claim(path, "0" * 64, tmp_path / "run.json") for path in (stayed, lost)]
    assert elsewhere(tmp_path, claims) == (claims, [])
    write_json(tmp_path / "elsewhere.json", ["a/model"])
    kept, (note,) = elsewhere(tmp_path, claims)
    assert kept == claims[1:] and not note.wrong and note.text.startswith("1 files of models stayed")
    write_json(stayed, {})
    assert elsewhere(tmp_path, claims) == (claims, []), "it is here after all"
