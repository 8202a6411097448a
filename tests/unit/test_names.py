"""Names that become names of files: taken as they are written, or refused while the config is read."""

import os
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from chameleon.core.errors import UserError
from chameleon.experiment.load import load
from chameleon.experiment.names import check_writable
from chameleon.reporting import catalogue
from chameleon.sensitivity import catalogue as study_catalogue


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("results/my run (v1)", "results/my run (v1)"),
        ("./results/", "results"),
        ("//data//x", "/data/x"),
        ("../r\u00e9sultats, 2=b+c@d", "../r\u00e9sultats, 2=b+c@d"),
    ],
)
def test_folders_that_are_taken(raw: dict[str, Any], given: str, folder: str) -> None:
    assert load({**raw, "results_dir": given}).results == folder


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("~/res", r"'~' may not stand in it.*; write the home folder out"),
        ("results/$HOME", r"'\$' may not"),
        ("results/$(touch ran)", r"'\$' may not"),
        ("results/`touch ran`", "'`' may not"),
        ("results/a;b", "';' may not"),
        ("results/a\nb", r"'\\n' may not"),
        ("results/{corpus}", "'{' '}' may not"),
        ("results/<x>", "'<' '>' may not"),
        ("results/a'b\"", "may not stand"),
        ("results/*?[a]!", "may not stand"),
        ("results/a\\b", "may not stand"),
        ("results/a\tb", "may not stand"),
        ("a|b&c#d", "may not stand"),
        ("-rf", "looks like an option"),
        ("./-rf", "looks like an option"),
        (".", "the workflow's own folder"),
        ("results/..", "the workflow's own folder"),
        ("results/ a", "' a' has a space at an end"),
        ("results /a", "'results ' has a space at an end"),
        ("x" * 256, "more than 255 bytes"),
        (2024, 'results_dir: 2024 .*in quotes: "2024"'),
        ("", "results_dir: '' should be non-empty"),
    ],
)
def test_folders_that_are_refused(raw: dict[str, Any], given: object, words: str) -> None:
    with pytest.raises(UserError, match=f"my.yaml: results_dir: .*{words}|{words}") as caught:
        load({**raw, "results_dir": given}, "my.yaml")
    assert "\n" not in str(caught.value)


def test_results_among_the_text_would_be_domains(raw: dict[str, Any], tmp_path: Path) -> None:
    for domain in ("law", "verse"):
        (tmp_path / domain).mkdir()
    raw["corpora"]["right"] = {"kind": "local", "path": str(tmp_path)}
    for folder in (tmp_path, tmp_path / "results", tmp_path / "law" / "x"):
        with pytest.raises(UserError, match=r"results_dir: .* lies in corpora\.right\.path"):
            load({**raw, "results_dir": str(folder)})
    assert load({**raw, "results_dir": str(tmp_path.parent / "results")})
    raw["corpora"]["right"]["domains"] = ["law"]
    assert load({**raw, "results_dir": str(tmp_path / "results")})


def test_a_folder_that_cannot_be_written(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    for name in ("file", "file/results", "gone", "gone/results"):
        with pytest.raises(UserError, match=rf"results_dir: .*{name.split('/')[0]} is not a folder"):
            check_writable(load({**raw, "results_dir": str(tmp_path / name)}))
    cfg = load({**raw, "results_dir": str(tmp_path / "new" / "results")})
    check_writable(cfg)
    assert sorted(os.listdir(tmp_path)) == ["file", "gone"], "looking leaves nothing behind"

    def refuse(dir: Path) -> None:  # as a read-only file system does, whoever asks
        raise OSError(30, "Read-only file system", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=rf"results_dir: .*{tmp_path} cannot be written: Read-only"):
        check_writable(cfg)


def domains(raw: dict[str, Any], folder: Path, *names: str) -> dict[str, Any]:
    """Return a config whose second corpus has these domains."""
    folder.mkdir()
    (folder / "text").mkdir()
    entry = {"kind": "local", "path": str(folder), "domains": dict.fromkeys(names, "text")}
    return {**raw, "corpora": {**raw["corpora"], "right": entry}}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("law", "Law"), "domains 'law' and 'Law' differ in case or form only"),
        (("caf\u00e9", "cafe\u0301"), "differ in case or form only"),
        (("stra\u00dfe", "STRASSE"), "differ in case or form only"),
        (("x" * 101,), "101 bytes long, at most 100"),
        (("\u00e9" * 51,), "102 bytes long, at most 100"),
        (("mean",), "'mean': this stands for a mean"),
        (("mean_old",), "'mean_old': this stands for a mean"),
        (("a/b",), "'a/b' has '/'"),
        (("..",), "'..' has '.'"),
        (("a b",), "'a b' has ' '"),
    ],
)
def test_names_of_domains(raw: dict[str, Any], tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=rf"corpora\.right: .*{words}"):
        load(domains(raw, tmp_path / "mine", *names))


def test_words_that_stand_for_nothing_are_names(raw: dict[str, Any], tmp_path: Path) -> None:
    names = ("null", "nan", "NA", "true", "report", "model", "seed0", "extra", "x" * 100)
    assert load(domains(raw, tmp_path / "mine", *names)).domains_of("right") == list(names)


@pytest.mark.parametrize("name", ["all", "fewshot"])
def test_a_corpus_called_as_the_results_call_all_of_them(raw: dict[str, Any], name: str) -> None:
    raw["corpora"][name] = raw["corpora"].pop("right")
    raw["scenarios"]["toy"]["corpora"] = ["left", name]
    with pytest.raises(UserError, match=f"corpora.{name}: this name stands for several corpora"):
        load(raw)


def test_two_models_that_would_have_one_name(raw: dict[str, Any]) -> None:
    """Scenario `a`, method `b_c` and scenario `a_b`, method `c` are both `base_a_b_c`."""
    toy = raw["scenarios"]["toy"]
    raw["method_params"] = {"b_natural": {"method": "natural"}}
    raw["scenarios"] = {
        "toy": {**toy, "methods": ["b_natural"]},
        "toy_b": {**toy, "methods": ["natural"]},
        **{
            f"on_{of}": {
                "kind": "finetune",
                "corpora": ["left"],
                "proxy": {"of": of},
                "base": {"scale": "tiny", "of": of, "method": method},
                "methods": ["chameleon"],
                "embed_with": "base",
            }
            for of, method in (("toy", "b_natural"), ("toy_b", "natural"))
        },
    }
    raw["run"] = list(raw["scenarios"])
    words = "toy/b_natural and toy_b/natural would both be 'base_toy_b_natural'"
    with pytest.raises(UserError, match=words):
        load(raw)


def test_no_two_tables_or_figures_can_have_one_file() -> None:
    """Files are {scenario}_{name}: no name may be another one after a part that a scenario could end with."""
    for names in (
        {*catalogue.TABLES, *study_catalogue.TABLES},
        {*catalogue.FIGURES, *study_catalogue.FIGURES},
    ):
        assert not [pair for pair in permutations(names, 2) if pair[0].endswith(f"_{pair[1]}")]
    assert not set(catalogue.TABLES) & set(study_catalogue.TABLES)
    assert not set(catalogue.FIGURES) & set(study_catalogue.FIGURES)
