"""One CSV file as people have it: separators, decimal commas, per cent, gaps, encodings, mistakes."""

import math

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.regression.sheets import key_of, number_of, read_table


@pytest.fixture
def read(tmp_path):
    def work(text):
        (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(tmp_path / "t.csv")

    return work


PLAIN = "run,web,code\na,0.25,0.75\nb,1.0,0.0\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t").replace(".", ","),
        PLAIN.replace(",", "|"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN + "\n,,\n",
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        "Run,web,code\na,25%,75 %\nb,100%,0%\n",
        'RUN ID,web,code\n"a","0.25"," .75 "\n"b",1e0,0\n',
    ],
)
def test_the_same_table_in_other_hands(read, text):
    found = read(text)
    assert found.keys == {"run": ["a", "b"]} and list(found.columns) == ["web", "code"]
    assert [column.tolist() for column in found.columns.values()] == [[0.25, 1.0], [0.75, 0.0]]


@pytest.mark.parametrize("text", ["", "-", "–", "NA", "n/a", "#N/A", "NaN", "null", "None", "?", "."])
def test_what_stands_for_a_missing_number(text):
    assert math.isnan(number_of(text, False))


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e3", 1000.0), ("-.5", -0.5), ("12.5%", 0.125), ("inf", math.inf), ("1,5", None), ("1_0", None),
     ("0x1", None), ("1 000", None), ("١", None), ("%", None), ("12,5%", None)],
)  # fmt: skip
def test_a_number_or_none(text, number):
    assert number_of(text, False) == number


def test_decimal_commas_only_where_commas_separate_nothing():
    assert [number_of(text, True) for text in ("1,5", "-,5", "12,5%")] == [1.5, -0.5, 0.125]
    assert number_of("1.234,5", True) is None


@pytest.mark.parametrize(
    ("column", "key"),
    [("Name", "name"), ("INDEX", "index"), ("run id", "run"), ("Run-Name", "name"), ("idx", "index"),
     ("id", None), ("running", None), ("", None)],
)  # fmt: skip
def test_columns_that_name_runs(column, key):
    """`id` is not one of them: it is Indonesian to somebody who mixes languages."""
    assert key_of(column) == key


def test_a_column_with_text_keeps_its_line(read):
    found = read("run,web,code\n\na,1.5,2\nb,oops,3\n")
    assert found.texts == {"web": (4, "oops", False)} and list(found.columns) == ["code"]
    found.refuse_text("code")
    with pytest.raises(UserError, match=r"t\.csv: line 4: column 'web': 'oops' is no number$"):
        found.refuse_text("web")


@pytest.mark.parametrize(
    ("cells", "meant"),
    [("1 2 x", True), ("1.000,5 x y", True), ("1'000 y z", True), ("x - -", False), ("x 1 y", False)],
)
def test_where_numbers_were_meant(read, cells, meant):
    rows = "".join(f'{i},"{cell}",1\n' for i, cell in enumerate(cells.split()))
    assert read(f"index,a,b\n{rows}").texts["a"].meant == meant


def test_text_blanks_and_numbers_are_told_apart(read):
    found = read("run,web,note,empty\na,1,x,\nb,-,2,NA\n")
    assert list(found.columns) == ["web"] and np.isnan(found.columns["web"][1])
    assert found.texts == {"note": (2, "x", False)} and found.blanks == ("empty",) and found.lines == [2, 3]


def test_long_numbers_are_names_as_they_are(read):
    found = read("index,x\n12345678901234567890,1\n12345678901234567891,2\n3.0,3\n007,4\n")
    assert found.keys["index"] == ["12345678901234567890", "12345678901234567891", "3", "7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows below a header"),
        ("run,web\n", "holds no rows below a header"),
        ("run,web\na,0,25\n", "row 2 has 3 fields, the header has 2 (separated by a comma)"),
        ("run\na\n", "has one column; expected several, separated by a comma, semicolon, tab, bar"),
        ("Nom,web\na,1\n", "no column names the runs; one of run, index, name, run_id"),
        ("Nom,web\na,1\n", "its columns are 'Nom', 'web'"),
        ('run,web\na,"0,25"\n', "line 2: column 'web': '0,25' is no number; write a decimal point"),
        ("run,web\na,x\n", "no column holds numbers"),
        ('run,web\na,"0.25\n', "cannot be read as CSV"),
        ("run,web,web\na,1,2\n", "column 'web' stands there twice"),
        (b"run,web\na,\xe9\n", "cannot be read as CSV: not UTF-8"),
        (b"run,web\na,\x00\n", "it holds null bytes"),
        (b"\xff\xfex", "cannot be read as CSV: not UTF-8"),
    ],
)
def test_mistakes_are_one_line(read, text, words):
    with pytest.raises(UserError) as caught:
        read(text)
    assert words in str(caught.value) and "t.csv: " in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_and_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_table(tmp_path)
