"""A swarm's CSV files: `read_swarm`, and `regress` on what it makes of them.

Malformed: not UTF-8 or UTF-16, null bytes, an open quote, rows of another length than the header, no rows, a
    column or a run twice, a row without a name, no column of names, or none that both files have; a weight
    that is text, missing, negative or infinite; a row that sums to neither 1 nor 100 (within 2 %); text in
    the target's column; no such column; no run in both files; fewer than three usable runs, or all of one
    mixture, for `regress`. Settings beside the weights, missing losses and runs of one file only are no
    mistake: they are left out and named.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import spoil
import tally
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chameleon.methods.regression import plots
from chameleon.methods.regression.command import regress
from chameleon.methods.regression.tables import read_swarm

PARSER, COMMAND = "swarms (read_swarm)", "swarms (regress)"
DOMAINS = ("arxiv", "books", "code", "web", "wiki")


@dataclass
class Files:
    """The cells of a swarm's two files, and how they are written."""

    mixtures: list[list[str]]
    losses: list[list[str]]
    separator: str = ","
    comma: bool = False
    encoding: str = "utf-8"
    end: str = "\n"
    left_out: set[str] = field(default_factory=set)

    def write(self, folder: Path) -> tuple[Path, Path]:
        paths = folder / "mix.csv", folder / "loss.csv"
        for path, rows in zip(paths, (self.mixtures, self.losses), strict=True):
            path.write_bytes(self.text(rows).encode(self.encoding))
        return paths

    def text(self, rows: list[list[str]]) -> str:
        text = io.StringIO()
        cells = [[c.replace(".", ",") if self.comma else c for c in row] for row in rows[1:]]
        csv.writer(text, delimiter=self.separator, lineterminator=self.end).writerows([rows[0], *cells])
        return text.getvalue()


@st.composite
def swarms(draw: st.DrawFn) -> Files:
    """Return a well-formed swarm of at least three usable runs, written in one of many ways."""
    k, n = draw(st.integers(2, 5)), draw(st.integers(3, 7))
    key = draw(st.sampled_from(["index", "run", "Name", "run id"]))
    prefix = draw(st.sampled_from(["", "train_", "train_the_pile_"]))
    # Whole thousandths: sums are exact, and no column alone makes the others a mixture by chance.
    cuts = [
        sorted(draw(st.lists(st.integers(1, 999), min_size=k - 1, max_size=k - 1, unique=True)))
        for _ in range(n)
    ]
    parts = [[b - a for a, b in zip([0, *cut], [*cut, 1000], strict=True)] for cut in cuts]
    scale, sign = draw(st.sampled_from([(1000, ""), (10, ""), (10, "%")]))
    mixtures = [[key, *(prefix + d for d in DOMAINS[:k])]]
    mixtures += [
        [f"r{i}" if key != "index" else str(i), *(f"{p / scale}{sign}" for p in row)]
        for i, row in enumerate(parts)
    ]
    losses = [[key, "web_val_loss", "note"]]
    losses += [[row[0], f"{draw(st.integers(2000, 4000)) / 1000}", "x"] for row in mixtures[1:]]
    files = Files(mixtures, losses)
    if draw(st.booleans()):
        files.mixtures = [
            row + [extra] for row, extra in zip(mixtures, ["seed", *map(str, range(n))], strict=True)
        ]
    if draw(st.booleans()) and n > 3:
        losses[-1][1] = draw(st.sampled_from(["", "-", "NA", "nan", "inf", "1e30"]))
        files.left_out.add(losses[-1][0])
    style = draw(st.sampled_from(["plain", "semicolon", "comma", "tab", "utf-16", "bom"]))
    if style in ("semicolon", "comma"):
        files.separator, files.comma = ";", style == "comma"
    elif style in ("tab", "utf-16"):
        files.separator, files.encoding = "\t", "utf-16" if style == "utf-16" else "utf-8"
    elif style == "bom":
        files.encoding = "utf-8-sig"
    files.end = draw(st.sampled_from(["\n", "\r\n"]))
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("swarms")


@given(swarms())
def test_well_formed_swarms_are_read(folder: Path, files: Files) -> None:
    paths = files.write(folder)
    found = tally.accepts(PARSER, lambda: read_swarm(*paths, "web"))
    names = [row[0] for row in files.mixtures[1:] if row[0] not in files.left_out]
    assert list(found.runs) == names and found.left_out == len(files.left_out)
    assert "seed" not in found.domains and len(found.domains) >= 2
    assert found.mixtures.sum(axis=1) == pytest.approx([1] * len(names))
    said = " ".join(found.notes)
    assert all(name in said for name in files.left_out) and ("'seed'" in said) == (
        "seed" in files.mixtures[0]
    )


def spoilt_cells(draw: st.DrawFn, files: Files) -> None:
    """Change the cells of a swarm so that it is none."""
    kind = draw(st.integers(0, 14))
    row = draw(st.sampled_from(files.mixtures[1:]))
    loss = draw(st.sampled_from([r for r in files.losses[1:] if r[0] not in files.left_out]))
    width = sum(1 for name in files.mixtures[0][1:] if name != "seed")
    at = draw(st.integers(1, width))
    both = draw(st.sampled_from([files.mixtures, files.losses]))
    if kind == 0:
        row[at] = draw(st.sampled_from(["abc", "1..2", "0x1", "--1", "1_0", "$3", "0.5 0.5"]))
    elif kind == 1:
        row[at] = draw(st.sampled_from(["", "-", "NA", "null", "nan"]))
    elif kind == 2:
        row[at] = draw(st.sampled_from(["-0.1", "-5", "inf", "-inf", "1e999"]))
    elif kind == 3:
        row[at] = str(float(row[at].rstrip("%")) + draw(st.sampled_from([7.77, 300.0, 1e6])))
    elif kind == 4:
        loss[1] = draw(st.sampled_from(["abc", "3.1.2", "3;1x", "high"]))
    elif kind == 5:
        some = draw(st.sampled_from(both[1:]))
        some.append("1") if draw(st.booleans()) else some.pop()
    elif kind == 6:
        both[0][-1] = both[0][1] if len(both[0]) > 2 else both[0][0]
    elif kind == 7:
        both[1][0] = both[2][0]
    elif kind == 8:
        draw(st.sampled_from(both[1:]))[0] = ""
    elif kind == 9:
        both[0][0] = draw(st.sampled_from(["", "Unnamed: 0", "nom", "experiment"]))
    elif kind == 10:
        for other in files.losses[1:]:
            other[0] += "999"
    elif kind == 11:
        files.losses[0][1] = "books_val_loss"
    elif kind == 12:
        del both[1:]
    elif kind == 13:
        files.mixtures[0][0], files.losses[0][0] = "run", "index"
    else:
        for other in files.losses[1:]:
            other[1] = draw(st.sampled_from(["", "-", "inf", "1e30"]))


@given(st.data(), swarms())
def test_malformed_swarms_are_refused(folder: Path, data: st.DataObject, files: Files) -> None:
    spoilt_cells(data.draw, files)
    paths = files.write(folder)
    tally.refuses(PARSER, ["mix.csv", "loss.csv"], lambda: read_swarm(*paths, "web"))


@given(st.data(), swarms())
def test_spoilt_files_are_refused(folder: Path, data: st.DataObject, files: Files) -> None:
    paths = files.write(folder)
    path = data.draw(st.sampled_from(paths))
    content, odd = path.read_bytes(), data.draw(st.integers(0, 4))
    if odd == 0:
        place = data.draw(st.integers(4, len(content)))
        broken = content[:place] + b"\xff\xd8\xff" + content[place:]
        content = content[:-1] if files.encoding == "utf-16" else broken
    elif odd == 1:
        content += "\0".encode("utf-16-le" if files.encoding == "utf-16" else "utf-8")
    elif odd == 2:
        content = data.draw(
            st.binary(max_size=60).filter(lambda b: not b.startswith((b"\xff\xfe", b"\xfe\xff")))
        )
    elif odd == 3:
        content = content[: content.index(b"\n")] if b"\n" in content else b""
    else:
        last = f'"{files.separator.join(["x"] * 3)}'
        content += last.encode("utf-16-le" if files.encoding == "utf-16" else "utf-8")
    path.write_bytes(content)
    tally.refuses(PARSER, ["mix.csv", "loss.csv"], lambda: read_swarm(*paths, "web"))


def run(paths: tuple[Path, Path], out: Path, **more: Any) -> Any:
    return regress(*paths, "web", out, model="linear", candidates=300, top=8, **more)


@given(swarms())
@settings(max_examples=12)
def test_regress_takes_what_is_read(folder: Path, files: Files) -> None:
    width = len(files.mixtures[0]) - (files.mixtures[0][-1] == "seed")
    usable = [row for row in files.mixtures[1:] if row[0] not in files.left_out]
    assume(len({tuple(row[1:width]) for row in usable}) > 1)
    paths = files.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_fit", "draw_importance"):  # pictures take most of the time
            patch.setattr(plots, name, lambda *_: None)
        found = tally.accepts(COMMAND, lambda: run(paths, folder / "out", keep_diverged=True))
    assert len(found.true) == len(files.mixtures) - 1 - len(files.left_out)


@given(st.data(), swarms())
def test_regress_refuses_and_writes_nothing(folder: Path, data: st.DataObject, files: Files) -> None:
    out, names = folder / "never", ["mix.csv", "loss.csv"]
    more: dict[str, Any] = {}
    kind = data.draw(st.integers(0, 5))
    if kind == 0:
        spoilt_cells(data.draw, files)
    elif kind == 1:
        for row in files.mixtures[2:]:
            row[1:] = files.mixtures[1][1:]
    elif kind == 2:
        del files.losses[3:]
        files.left_out.clear()
    elif kind == 3:
        more["prior_file"] = folder / "prior.json"
        prior = {name: 0.2 for name in DOMAINS[: len(files.mixtures[0]) - 1]} | {"zz": 1}
        more["prior_file"].write_bytes(data.draw(spoil.text(prior) | st.just(b"[1]") | st.just(b'{"zz": 1}')))
        names.append("prior.json")
    elif kind == 4:
        more["test_mixtures"], names = folder / "mix.csv", ["--test-mixtures"]
    else:
        more, names = data.draw(st.sampled_from([({"model": "forest"}, ["--model"]), ({"top": 0}, ["--top"]),
                                                 ({"top": 300}, ["--top"])]))  # fmt: skip
    paths = files.write(folder)
    options = {"model": "linear", "candidates": 300, "top": 8, **more}
    tally.refuses(COMMAND, names, lambda: regress(*paths, "web", out, **options))
    assert not out.exists()


@given(st.data(), swarms())
def test_random_edits_end_in_one_line_or_in_a_swarm(folder: Path, data: st.DataObject, files: Files) -> None:
    paths = files.write(folder)
    path = data.draw(st.sampled_from(paths))
    path.write_bytes(data.draw(spoil.edits(path.read_bytes())))
    tally.survives(PARSER, ["mix.csv", "loss.csv"], lambda: read_swarm(*paths, "web"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_fit", "draw_importance"):
            patch.setattr(plots, name, lambda *_: None)
        tally.survives(COMMAND, ["mix.csv", "loss.csv"], lambda: run(paths, folder / "out"))
