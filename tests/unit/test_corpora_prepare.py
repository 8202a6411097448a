"""Preparation: near duplicates, leaks across splits, the cap, counts that add up, any number of workers."""

import hashlib
import json
import random

import numpy as np
import pandas as pd
import pytest
from toy_config import PREPARED

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.corpora.clean import document_id, normalise, split_of
from chameleon.data.corpora.dedup import Index, NearDuplicates
from chameleon.data.corpora.prepare import STEPS, prepare
from chameleon.data.corpora.shingles import shingles

NEAR = NearDuplicates(threshold=0.8, permutations=64, shingle_words=5)
DATA = {
    **PREPARED,
    "min_characters": 20,
    "max_characters": 2000,
    "split": {"validation": 0.2, "test": 0.2},
    "dedup": {**PREPARED["dedup"], "near": True},
}


def story(seed, words=200):
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(3000)}" for _ in range(words))


def variant(text, changes=1):
    """The same text with its last words changed: 200 words, so one change keeps 195 of 196 shingles."""
    return " ".join(text.split()[:-changes] + [f"other{i}" for i in range(changes)])


def in_split(make, split, data=DATA):
    """Return the first of make(0), make(1), ... that the hash puts into `split`."""
    return next(
        t for t in map(make, range(9999)) if split_of(document_id(normalise(t)), data["split"]) == split
    )


def run(tmp_path, domains, threads=1, out="out", **changes):
    for name, documents in domains.items():
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True, exist_ok=True)
        for i, document in enumerate(documents):
            (folder / f"{i:05d}.txt").write_bytes(document.encode())
    entry = {"kind": "local", "path": str(tmp_path / "in")}
    spec = {"corpus": "mine", "entry": entry, "domains": list(domains), "data": DATA | changes, "version": 1}
    prepare(spec, tmp_path / out, threads)
    frames = {name: pd.read_parquet(tmp_path / out / f"{name}.parquet") for name in domains}
    return frames, read_json(tmp_path / out / "report.json")


def stories(name, count=40):
    return [story(f"{name}{i}") for i in range(count)]


# ---- near duplicates


def jaccard(one, two):
    a, b = ({tuple(t.split()[i : i + 5]) for i in range(len(t.split()) - 4)} for t in (one, two))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("changes", [1, 10, 21, 23, 60])
def test_same_agrees_with_sets_of_word_tuples(changes):
    one, two = story(1), variant(story(1), changes)
    sets = [shingles(text, 5) for text in (one, two)]
    shared = len(np.intersect1d(*sets))
    assert NEAR.reached(shared, len(sets[0]) + len(sets[1])) == (jaccard(one, two) >= 0.8)


def test_shingles_are_the_distinct_word_windows():
    assert len(shingles("a b c d e f", 5)) == 2
    assert len(shingles("a b a b a b a b", 5)) == 2
    assert len(shingles("a b", 5)) == 1 and len(shingles("", 5)) == 0
    assert not np.array_equal(shingles("a b c d e", 5), shingles("b a c d e", 5))


def test_characters_are_the_words_of_scripts_without_spaces():
    assert len(shingles("\u65e5\u672c\u8a9e\u306e\u6587\u7ae0", 5)) == 2


def test_index_finds_known_near_duplicates_and_spares_distinct_texts():
    texts = stories("x", 60) + [variant(story(f"x{i}"), 5) for i in range(60)]
    documents = [NEAR.document(text) for text in texts]
    index = Index(NEAR)
    for key in range(60):
        assert index.matches(documents[key]) == []
        index.add(key, documents[key])
    assert [index.matches(document) for document in documents[60:]] == [[i] for i in range(60)]


# ---- prepare


def test_output_is_sorted_split_by_hash_and_hashed_by_normalised_text(tmp_path):
    frames, report = run(tmp_path, {"a": stories("a")})
    frame = frames["a"]
    assert list(frame.columns) == ["doc_id", "split", "text"] and len(frame) == 40
    assert list(zip(frame["split"], frame["doc_id"], strict=True)) == sorted(
        zip(frame["split"], frame["doc_id"], strict=True)
    )
    for row in frame.itertuples():
        assert row.doc_id == hashlib.sha256(row.text.encode()).hexdigest()
        assert row.split == split_of(row.doc_id, DATA["split"])
    splits = report["domains"]["a"]["splits"]
    assert {s: v["documents"] for s, v in splits.items()} == frame["split"].value_counts().to_dict()
    assert sum(v["bytes"] for v in splits.values()) == sum(len(t.encode()) for t in frame["text"])


def test_duplicates_within_a_domain_are_dropped_and_counted(tmp_path):
    documents = stories("a")
    exact = documents[0].upper().replace(" ", "\n")
    train = next(d for d in documents if split_of(document_id(d), DATA["split"]) == "train")
    near = in_split(lambda i: f"{train} tail{i}", "train")
    frames, report = run(tmp_path, {"a": [*documents, exact, near, "too short"]})
    counts = report["domains"]["a"]["counts"]
    assert len(frames["a"]) == 40
    assert (counts["exact_duplicates"], counts["near_duplicates"], counts["too_short"]) == (1, 1, 1)
    assert counts["cross_split_duplicates"] == 0


def test_of_two_splits_the_training_copy_goes_within_and_across_domains(tmp_path):
    held = in_split(lambda i: story(f"held{i}"), "test")
    leak = in_split(lambda i: f"{held} tail{i}", "train")
    other = in_split(lambda i: f"{held} end{i}", "validation")
    frames, report = run(tmp_path, {"a": [*stories("a"), held, leak], "b": [*stories("b"), leak, other]})
    assert held in set(frames["a"]["text"])
    assert leak not in set(frames["a"]["text"]) | set(frames["b"]["text"])
    assert other not in set(frames["b"]["text"])
    assert report["domains"]["a"]["counts"]["cross_split_duplicates"] == 1
    # In b, `leak` falls to `other` as a duplicate of the same domain, and `other` to `held` of domain a.
    assert report["domains"]["b"]["counts"]["cross_split_duplicates"] == 2
    assert report["domains"]["b"]["counts"]["near_duplicates"] == 0


def test_a_validation_document_gives_way_to_test_of_another_domain_only_once(tmp_path):
    held = in_split(lambda i: story(f"held{i}"), "validation")
    leak = in_split(lambda i: f"{held} tail{i}", "train")
    frames, report = run(tmp_path, {"a": [*stories("a"), leak], "b": [*stories("b"), held]})
    assert leak not in set(frames["a"]["text"]) and held in set(frames["b"]["text"])
    assert report["domains"]["a"]["counts"]["cross_split_duplicates"] == 1


def test_domains_may_share_training_text(tmp_path):
    shared = in_split(lambda i: story(f"shared{i}"), "train")
    frames, _ = run(tmp_path, {"a": [*stories("a"), shared], "b": [*stories("b"), shared]})
    assert shared in set(frames["a"]["text"]) and shared in set(frames["b"]["text"])


def test_near_duplicates_stay_when_switched_off(tmp_path):
    documents = stories("a")
    frames, _ = run(
        tmp_path, {"a": [*documents, documents[0] + " tail"]}, dedup=DATA["dedup"] | {"near": False}
    )
    assert len(frames["a"]) == 41


def test_long_documents_are_cut_and_their_pieces_split_one_by_one(tmp_path):
    book = "\n\n".join(stories("chapter", 60))
    frames, report = run(tmp_path, {"a": [book]})
    assert frames["a"]["text"].str.len().max() <= 2000
    assert set(frames["a"]["split"]) == {"train", "validation", "test"}
    assert report["domains"]["a"]["counts"]["cut_pieces"] == len(frames["a"]) - 1
    assert any("each piece is split by its own hash" in note for note in report["notes"])


def test_the_cap_samples_documents_by_seed_not_by_order(tmp_path):
    documents = stories("a", 100)
    size = len(documents[0].encode())
    capped = {"max_bytes_per_domain": 40 * size}
    frames, report = run(tmp_path, {"a": documents}, **capped)
    total = sum(v["bytes"] for v in report["domains"]["a"]["splits"].values())
    assert 38 * size < total <= 40 * size
    assert report["domains"]["a"]["counts"]["capped"] == 100 - len(frames["a"])
    again, _ = run(tmp_path / "reversed", {"a": documents[::-1]}, **capped)
    assert list(again["a"]["doc_id"]) == list(frames["a"]["doc_id"])
    other, _ = run(tmp_path, {"a": documents}, out="seed1", seed=1, **capped)
    assert set(other["a"]["doc_id"]) != set(frames["a"]["doc_id"])


def test_counts_add_up(tmp_path):
    documents = stories("a", 60) + stories("a", 5) + [variant(story(f"a{i}")) for i in range(9)]
    documents += ["short", "", "\n\n".join(stories("long", 30))]
    frames, report = run(tmp_path, {"a": documents, "b": stories("b")}, max_bytes_per_domain=70_000)
    counts = report["domains"]["a"]["counts"]
    assert set(counts) == set(STEPS) and counts["capped"] > 0 and counts["cut_pieces"] > 0
    lost = ("too_short", "exact_duplicates", "capped", "near_duplicates", "cross_split_duplicates")
    assert counts["raw"] + counts["cut_pieces"] - sum(counts[k] for k in lost) == len(frames["a"])


def test_rows_that_are_no_documents_are_counted_and_control_characters_go(tmp_path, capsys):
    (tmp_path / "in" / "a").mkdir(parents=True)
    texts = [f"{text}\0\x07" for text in stories("a")]
    rows = [{"text": text} for text in [*texts[:20], None, "", *texts[20:], None]]
    with open(tmp_path / "in" / "a" / "rows.jsonl", "w") as handle:
        handle.writelines(json.dumps(row) + "\r\n" for row in rows)
    frames, report = run(tmp_path, {"a": [], "b": stories("b")})
    assert set(frames["a"]["text"]) == set(stories("a"))
    counts = report["domains"]["a"]["counts"]
    assert (counts["raw"], counts["too_short"], counts["without_text"]) == (41, 1, 2)
    assert "a: 40 documents of 41" in (said := capsys.readouterr().err) and "2 rows without text" in said
    assert set(report["domains"]["b"]["counts"]) == set(STEPS), "a count of nothing is not reported"


def test_a_domain_of_nulls_says_so(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "rows.jsonl").write_text('{"text": null}\n' * 3)
    with pytest.raises(UserError, match="domain 'a' has no documents left .*without_text 3"):
        run(tmp_path, {"a": []})


def test_the_output_does_not_depend_on_the_number_of_workers(tmp_path):
    domains = {"a": stories("a"), "b": stories("b"), "c": stories("c")}
    run(tmp_path, domains, threads=1, out="one")
    run(tmp_path, domains, threads=3, out="three")
    for name in ("a.parquet", "b.parquet", "c.parquet", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["tiny", "small"], "domain 'a' has no documents left (raw 2, cut_pieces 0, too_short 2"),
        ([story("one")], "are too few for data.split"),
    ],
)
def test_empty_domain_or_split_is_one_line(tmp_path, documents, message):
    with pytest.raises(UserError) as caught:
        run(tmp_path, {"a": documents})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "report.json").exists()


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path):
    with pytest.raises(UserError, match=r"b/00000\.txt:1: not UTF-8"):
        (tmp_path / "in" / "b").mkdir(parents=True)
        (tmp_path / "in" / "b" / "00000.txt").write_bytes(b"\xff")
        run(tmp_path, {"a": stories("a"), "b": []}, threads=2)


def test_the_report_carries_sources_and_licences(tmp_path):
    entry = {"kind": "synthetic", "documents": 60, "words": 60}
    spec = {"corpus": "toy", "entry": entry, "domains": ["unique", "blend"], "data": DATA, "version": 1}
    prepare(spec, tmp_path, 1)
    report = read_json(tmp_path / "report.json")
    assert report["order"] == ["unique", "blend"]
    domain = report["domains"]["blend"]
    assert domain["stands_for"] and domain["title"] and domain["sources"][0]["redistributable"] is True
    assert domain["counts"]["near_duplicates"] == 0, "random sentences are no near duplicates"
