"""Cleaning, cutting, identity and split of single documents."""

import hashlib
import random
import re
import time
import unicodedata

import pytest

from chameleon.data.corpora.clean import clean, cut, document_id, normalise, sampling_key, split_of

SHARES = {"validation": 0.05, "test": 0.05}


def test_clean_normalises_lines_and_drops_what_is_not_text():
    assert clean("\r\n a  \r\nb\rc\n\n\n\n d\x00\x0c\t\n") == " a\nb\nc\n\n d"


def test_clean_takes_time_in_proportion_to_a_run_of_blanks_and_leaves_what_an_expression_leaves():
    """As one expression, 100,000 spaces took 14 seconds, and four times as many sixteen times as long."""
    pick = random.Random(0)
    for _ in range(5000):
        text = "".join(pick.choice(" \t\n\ra\x0b\u00a0\u2028") for _ in range(pick.randrange(14)))
        plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "")
        expected = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", plain)).strip("\n").rstrip()
        assert clean(text) == expected
    started = time.process_time()
    assert (
        clean("a" + " " * 2_000_000 + "b" + " \t" * 500_000 + "\n" * 500_000) == "a" + " " * 2_000_000 + "b"
    )
    assert clean("a" + " \n" * 500_000 + "b") == "a\n\nb"
    assert time.process_time() - started < 5


def odd_texts():
    pick = random.Random(1)
    signs = [
        *"ab C.\n\t\r ",
        "\n\n\n",
        "  ",
        "\x00",
        "\x1d",
        "\x7f",
        "\u00a0",
        "\u00e9",
        "\uff21",
        "\u2028",
        "\ud800",
        "\U0001f600",
    ]
    for kinds in (4, 12, len(signs)):
        for _ in range(2000):
            yield "".join(pick.choice(signs[:kinds]) for _ in range(pick.randrange(12)))


def test_short_cuts_change_nothing():
    """What is said of the two functions, done step by step."""
    for text in odd_texts():
        plain = re.sub(
            r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text.replace("\r\n", "\n").replace("\r", "\n")
        )
        plain = re.sub(r"[ \t]+\n", "\n", plain.encode("utf-8", "replace").decode())
        assert clean(text) == re.sub(r"\n{3,}", "\n\n", plain).strip("\n").rstrip()
        assert normalise(text) == " ".join(unicodedata.normalize("NFKC", text).lower().split())


def test_clean_survives_half_a_surrogate_pair():
    assert clean("a\ud800b").encode() == b"a?b"


def test_normalise_folds_case_width_and_space():
    assert normalise("\uff21 Ｂ\n\n c\u00a0D\ufb01") == "a b c dfi"


def test_cut_prefers_paragraphs_then_lines_then_words():
    assert list(cut("aaaa\n\nbbbb\ncccc", 10)) == ["aaaa", "bbbb\ncccc"]
    assert list(cut("aaaa bbb\ncc dd", 10)) == ["aaaa bbb", "cc dd"]
    assert list(cut("aaaa bbb cc dd", 10)) == ["aaaa bbb", "cc dd"]
    assert list(cut("abcdefghijkl", 5)) == ["abcde", "fghij", "kl"]
    assert list(cut("short", 10)) == ["short"]
    assert list(cut("", 10)) == []


def test_cut_loses_no_words_and_keeps_the_limit():
    text = "\n\n".join("word " * n + str(n) for n in range(1, 60))
    pieces = list(cut(text, 200))
    assert max(map(len, pieces)) <= 200
    assert " ".join(pieces).split() == text.split()


@pytest.mark.parametrize(
    ("text", "doc_id", "split"),
    [
        ("The cat sat on the mat.", "f9066d39daaa0894", "train"),
        ("Document  51", "12ded9e07cc4d6b3", "validation"),
        ("document 21", "00f63db7fe1354e2", "test"),
    ],
)
def test_split_goldens(text, doc_id, split):
    """Splits must never move between versions: published perplexities hang on them."""
    found = document_id(normalise(text))
    assert found.startswith(doc_id)
    assert split_of(found, SHARES) == split


def test_split_ignores_case_and_spacing():
    one, two = document_id(normalise("Some  TEXT\nhere")), document_id(normalise("some text here"))
    assert one == two == hashlib.sha256(b"some text here").hexdigest()


def test_split_shares_are_met():
    splits = [split_of(document_id(str(i)), {"validation": 0.1, "test": 0.2}) for i in range(4000)]
    assert splits.count("test") / 4000 == pytest.approx(0.2, abs=0.02)
    assert splits.count("validation") / 4000 == pytest.approx(0.1, abs=0.02)


def test_raising_the_validation_share_moves_no_test_document():
    ids = [document_id(str(i)) for i in range(500)]
    before = [split_of(i, SHARES) for i in ids]
    after = [split_of(i, {"validation": 0.3, "test": 0.05}) for i in ids]
    assert [s == "test" for s in before] == [s == "test" for s in after]


def test_sampling_key_depends_on_the_seed():
    assert sampling_key(0, "ab") == sampling_key(0, "ab") != sampling_key(1, "ab")
