"""`chameleon verify`: clean on an intact run; for one byte changed, the file and the tables behind it."""

import csv
import json
import shutil
from pathlib import Path

import finished_results
import pytest

from chameleon import cli
from chameleon.core.artifacts import read_json, sha256_file
from chameleon.core.errors import UserError
from chameleon.integrity.verify import Report, verify

#: Tables by what moves them; that of noise over seeds is empty with one seed, as are those of few-shot tasks.
TESTED = ("main", "details", "perplexity", "difference", "robust")
SHOWN = frozenset({"tables/verdicts", "summary", "page"})
CORPORA = frozenset({"tables/corpora", "tables/licences"})


def tables(scenario: str, *names: str) -> frozenset[str]:
    return frozenset(f"tables/{scenario}_{name}" for name in names)


WEIGHED = ("weights", "agreement", "epochs", "costs")
TOY = tables("toy", *TESTED, *WEIGHED) | SHOWN
TUNED = tables("tuned", *TESTED, *WEIGHED, "krls", "forgetting", "unseen") | SHOWN
EVERYTHING = TOY | TUNED | tables("toy", "krls")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return finished_results.make(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def results(finished, tmp_path, monkeypatch):
    """A copy, moved: records name files by the paths of the run."""
    shutil.copytree(finished.parent, tmp_path / "moved")
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path / "moved" / "cache"))
    return tmp_path / "moved" / "results"


def flip(path: Path, at: int | None = None) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)


def digit(path: Path, word: str) -> int:
    """Change the last digit of the first line that holds a word; return the line's number."""
    lines = path.read_text().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if word in line)
    at = max(i for i, c in enumerate(lines[number]) if c.isdigit())
    lines[number] = f"{lines[number][:at]}{(int(lines[number][at]) + 1) % 10}{lines[number][at + 1 :]}"
    path.write_text("".join(lines))
    return number + 1


def wrong(report: Report) -> dict[str, frozenset[str]]:
    return {str(f.path): f.pages for f in report.findings if f.wrong}


def test_an_intact_run_is_clean_and_every_cell_is_traced(results):
    report = verify(results)
    assert report.clean and not report.findings
    files = sorted(results.glob("tables/*.csv"))
    cells = sum(len(row) for file in files for row in list(csv.reader(file.open()))[1:])
    assert (report.cells, report.broken_cells) == (cells, 0) and cells > 1000
    assert report.pages == {f"tables/{file.stem}" for file in files} | {"summary", "page"}
    # Every file that a job left was hashed, and those that none wrote: shards, lists of sources, the package.
    left = {path for record in results.rglob("*run.json") for path in read_json(record)["outputs"]}
    shards = [*results.glob("tokens/*/*/*.bin"), *results.glob("corpora/*/sources.json")]
    assert report.files > len(left) + len(shards) > 150 and report.bytes > 100_000


#: Files of one run that do not depend on each other, with what depends on each.
CHANGED = {
    "text": {
        "corpora/later/cousin.parquet": TUNED,
        "corpora/left/unique.parquet": EVERYTHING,
        "tokens/apart/twin_two/test-00000.bin": tables("tuned", *TESTED, "forgetting", "unseen", "costs")
        | SHOWN,
        "tokenizer/tokenizer.json": EVERYTHING,
        "tokens/later/cousin/train-00000.bin": TUNED,
        "tokens/later/cousin/train.offsets.npy": TUNED,
    },
    "what the text is said to be": {
        "corpora/right/report.json": CORPORA,
        "corpora/right/sources.json": EVERYTHING | CORPORA,
        f"../cache/artefacts/{finished_results.PACKAGE}": EVERYTHING | CORPORA,
    },
    "weights": {
        "embeddings/proxy_toy/seed0/left.json": TOY | tables("toy", "krls"),
        "weights/toy/chameleon/seed0.json": TOY | tables("toy", "krls"),
        # The model that finetuning starts from.
        "weights/toy/natural/seed0.json": TOY | TUNED,
        "weights/tuned/uniform/seed0.json": TUNED - tables("tuned", "krls"),
    },
    "models": {
        "runs/tuned/chameleon/seed0/model/model.safetensors": tables(
            "tuned", *TESTED, "forgetting", "unseen", "costs"
        )
        | SHOWN,
        "runs/toy/uniform/seed0/model/tokenizer.json": tables("toy", *TESTED, "costs") | SHOWN,
        "runs/toy/uniform/seed0/training.csv": frozenset(),
        "runs/toy/uniform/seed0/curve.json": tables("toy", "weights", "agreement") | {"page"},
    },
    "pages": {
        "tables/toy_main.csv": tables("toy", "main"),
        "tables/toy_krls.md": tables("toy", "krls"),
        "tables/toy_costs.html": tables("toy", "costs"),
        "summary.md": frozenset({"summary"}),
        "page.html": frozenset({"page"}),
    },
}


@pytest.mark.parametrize("name", CHANGED)
def test_one_byte_is_found_and_so_is_what_depends_on_it(results, name):
    files = {(results / path).resolve(): pages for path, pages in CHANGED[name].items()}
    for file in files:
        flip(file)
    report = verify(results)
    assert wrong(report) == {str(file): pages for file, pages in files.items()}
    assert all("changed: its sha256 begins with" in f.text for f in report.findings if f.wrong)
    assert not report.clean and 0 < report.broken_cells <= report.cells


#: Start of a line of a tidy file, and what depends on its number.
TIDY = {
    "metrics.csv": ("tuned,later,tiny,chameleon,0,cousin,perplexity", tables("tuned", *TESTED) | SHOWN),
    "weights.csv": ("toy,chameleon,0,0,blend", tables("toy", "weights", "agreement", "main") | {"page"}),
    "costs.csv": ("tuned,uniform,0,base", tables("tuned", "costs", "main") | SHOWN),
    "diagnostics.csv": ("toy,chameleon,0,score,blend", tables("toy", "krls")),
    "curves.csv": ("toy,uniform", tables("toy", "weights", "agreement") | {"page"}),
    "documents.csv": ("toy,natural", tables("toy", "main", "robust")),
}


def test_one_digit_of_a_tidy_file_is_found_with_its_line_and_where_it_comes_from(results):
    lines = {str(results / name): digit(results / name, start) for name, (start, _) in TIDY.items()}
    report = verify(results)
    assert wrong(report) == {str(results / name): pages for name, (_, pages) in TIDY.items()}
    for finding in report.findings:
        assert f"line {lines[str(finding.path)]}: " in finding.text and "changed: its sha256" in finding.text
        assert f", but {results}/" in finding.text and " gives " in finding.text


def test_a_digit_of_an_unseen_loss_moves_what_shows_it_alone(results):
    metrics = results / "metrics.csv"
    digit(metrics, "tuned,apart,tiny,chameleon,0,twin_two,unseen_loss")
    assert wrong(verify(results)) == {str(metrics): tables("tuned", "unseen", "main")}


def test_a_missing_file_is_named_and_what_came_from_it(results):
    gone = results / "metrics" / "toy" / "uniform" / "seed0.json"
    gone.unlink()
    report = verify(results)
    assert wrong(report) == {str(gone): tables("toy", *TESTED) | SHOWN}
    assert report.findings[0].text.startswith("missing; ")


def test_a_package_that_is_not_there_is_no_error(results):
    (results.parent / "cache" / "artefacts" / finished_results.PACKAGE).unlink()
    report = verify(results)
    assert report.clean and len(report.findings) == 1 and not report.findings[0].wrong
    assert finished_results.PACKAGE in str(report.findings[0].path)


def test_a_truncated_record_breaks_the_chain_of_what_its_job_made(results):
    record = results / "runs" / "toy" / "uniform" / "seed0" / "run.json"
    record.write_bytes(record.read_bytes()[:200])
    report = verify(results)
    assert wrong(report) == {str(record): TOY}
    assert "not valid JSON" in report.findings[0].text


def test_a_record_of_what_was_gathered_last(results):
    """Without it nothing says where rows come from."""
    record = results / "run.json"
    record.write_text("{")
    report = verify(results)
    assert wrong(report) == {str(record): report.pages - CORPORA - empty(results)}


def empty(results: Path) -> frozenset[str]:
    return frozenset(f"tables/{p.stem}" for p in results.glob("tables/*.csv")
                     if len(p.read_text().splitlines()) < 2)  # fmt: skip


def test_a_spec_that_was_edited_is_found(results):
    record = results / "weights" / "toy" / "uniform" / "seed0.run.json"
    told = read_json(record)
    told["spec"]["seed"] = 1
    record.write_text(json.dumps(told))
    found = wrong(verify(results))
    assert set(found) == {str(record)} and found[str(record)] == TOY


def test_a_job_that_worked_on_another_input_is_found(results):
    """The weights were made again, and gathered again, but nothing was trained with them."""
    weights = results / "weights" / "toy" / "uniform" / "seed0.json"
    record, stale = (
        weights.with_suffix(".run.json"),
        results / "runs" / "toy" / "uniform" / "seed0" / "run.json",
    )
    weights.write_text(f"{weights.read_text()} ")
    for changed, user, part in ((weights, record, "outputs"), (weights, results / "run.json", "inputs"),
                                (record, results / "run.json", "inputs")):  # fmt: skip
        told = read_json(user)
        key = next(key for key in told[part] if key.endswith(f"weights/toy/uniform/{changed.name}"))
        told[part][key] = sha256_file(changed)
        user.write_text(json.dumps(told))
    report = verify(results)
    assert wrong(report) == {str(stale): TOY}
    assert f"its job read another {weights}: its sha256 began with" in report.findings[0].text


def test_a_table_of_another_run_is_not_taken_for_one_of_this(results):
    left = results / "tables" / "old_main.csv"
    shutil.copy(results / "tables" / "toy_main.csv", left)
    report = verify(results)
    assert wrong(report) == {str(left): frozenset({"tables/old_main"})}
    assert "no record says what made it" in report.findings[0].text


def test_what_was_changed_together_with_its_digests_is_found_by_making_it_again(results):
    metrics = results / "metrics/toy/natural/seed0.json"
    metrics.write_text(metrics.read_text().replace('"loss": {\n  "blend": ', '"loss": {\n  "blend": 1'))
    flip(results / "tables/toy_epochs.csv", -3)
    flip(results / "tables/toy_costs.md", 100)
    changed = [metrics, results / "tables/toy_epochs.csv", results / "tables/toy_costs.md"]
    # What is about one of them first: a record's own digest stands in the records after it.
    for file in (*changed, metrics.with_suffix(".run.json")):
        for record in results.rglob("*run.json"):
            told = read_json(record)
            for part in ("inputs", "outputs"):
                for key in told[part]:
                    if key.endswith(file.relative_to(results).as_posix()):
                        told[part][key] = sha256_file(file)
            record.write_text(json.dumps(told))
    found = {f.path.name: f.text for f in verify(results).findings if f.wrong}
    assert "metrics.csv was gathered from it: line" in found["seed0.json"]
    assert "does not follow from the tidy files" in found["toy_epochs.csv"]


def test_the_command_prints_a_line_each_and_ends_with_one_if_anything_is_wrong(results, capsys):
    assert cli.main(["verify", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].endswith("nothing is wrong") and " of " in lines[0]
    flip(results / "tables" / "toy_main.csv")
    (results / "weights" / "toy" / "uniform" / "seed0.json").unlink()
    assert cli.main(["verify", str(results)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[-1].endswith(": 2 wrong")
    assert lines[0].startswith(f"wrong: {results}/tables/toy_main.csv: changed: ")
    assert (
        lines[0].endswith("; tables: toy_main") and "; tables: toy_agreement, toy_costs, toy_det" in lines[1]
    )


def test_a_folder_without_records_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="no run records here"):
        verify(tmp_path)
