"""Embedding files: `load` on whole, spoilt and odd files.

Malformed: no JSON object; a key of the schema missing, unknown or of another type; rows of other domains than
    the file names, of several widths, empty, or with a value that is no finite number; a domain that is asked
    for missing, or in two files; files of different tokenizers, proxies, layers or widths.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import spoil
import tally
from hypothesis import given
from hypothesis import strategies as st

from chameleon.embedding.files import load

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-9, 9)
NAMES = st.lists(st.text("abcdefgh_", min_size=1, max_size=6), min_size=2, max_size=5, unique=True)
PARSER = "embeddings"


@st.composite
def artefacts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return the contents of two files of one make."""
    names, width = draw(NAMES), draw(st.integers(1, 4))
    cut = draw(st.integers(1, len(names) - 1))
    common = {
        "tokenizer_sha256": draw(st.sampled_from("ab")),
        "proxy_sha256": "c",
        "layer": draw(st.integers(0, 3)),
    }
    return [
        {
            "corpus": corpus,
            "domains": part,
            "rows": {name: draw(st.lists(NUMBERS, min_size=width, max_size=width)) for name in part},
            "seed": 0,
            "corpus_sha256": corpus,
            "window_length": draw(st.integers(1, 9)),
            "windows": 3,
            **common,
        }
        for corpus, part in (("one", names[:cut]), ("two", names[cut:]))
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embeddings")


def write(folder: Path, contents: list[bytes]) -> list[Path]:
    paths = [folder / f"{name}.json" for name in ("one", "two")]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def names_of(files: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(name for file in files for name in file["domains"])


@given(artefacts())
def test_whole_files_are_read(folder: Path, files: list[dict[str, Any]]) -> None:
    paths, names = write(folder, [dump(file) for file in files]), names_of(files)[::-1]
    found = tally.accepts(PARSER, lambda: load(paths, names))
    assert found.tolist() == [
        [float(v) for file in files for v in file["rows"].get(name, [])] for name in names
    ]


@given(st.data())
def test_malformed_contents_are_refused(folder: Path, data: st.DataObject) -> None:
    files = data.draw(artefacts())
    names, (first, second) = names_of(files), files
    row = second["rows"][second["domains"][0]]
    kind = data.draw(st.integers(0, 9))
    if kind == 0:
        del second[data.draw(st.sampled_from(sorted(second)))]
    elif kind == 1:
        second[data.draw(st.text(min_size=1).filter(lambda key: key not in second))] = 0
    elif kind == 2:
        second[data.draw(st.sampled_from(sorted(second)))] = data.draw(
            st.sampled_from([None, True, {"x": 1}, 1.5, [0]])
        )
    elif kind == 3:
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(spoil.ODD)
    elif kind == 4:
        second["rows"][second["domains"][0]] = data.draw(st.sampled_from([[], [*row, 0.5]]))
    elif kind == 5:
        second["rows"][first["domains"][0]] = row
    elif kind == 6:
        second["domains"] = [*second["domains"], second["domains"][0]]
    elif kind == 7:
        del second["rows"][second["domains"][0]]
    elif kind == 8:
        second[data.draw(st.sampled_from(["tokenizer_sha256", "proxy_sha256"]))] += "x"
    else:
        names = (*names, "zz")
    paths = write(folder, [dump(file) for file in files])
    tally.refuses(PARSER, ["one.json", "two.json"], lambda: load(paths, names))


@given(st.data())
def test_spoilt_files_are_refused(folder: Path, data: st.DataObject) -> None:
    files = data.draw(artefacts())
    paths = write(folder, [data.draw(spoil.text(files[0])), dump(files[1])])
    tally.refuses(PARSER, ["one.json: "], lambda: load(paths, names_of(files)))


@given(st.data())
def test_random_edits_end_in_one_line_or_in_numbers(folder: Path, data: st.DataObject) -> None:
    files = data.draw(artefacts())
    paths = write(folder, [data.draw(spoil.edits(dump(files[0]))), dump(files[1])])
    tally.survives(PARSER, ["one.json"], lambda: load(paths, names_of(files)))
