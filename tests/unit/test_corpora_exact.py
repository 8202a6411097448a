"""What near-duplicate search drops, held against comparing all pairs of documents exactly, without any hash.

Bands propose pairs, so a pair above the threshold can be missed: with 64 permutations and a threshold of 0.8
there are nine bands of seven, and a pair of Jaccard index s is missed with probability (1 - s^7)^9: 12 % at
0.8 itself, 3 % at 0.85, 0.3 % at 0.9, 1 in 50,000 at 0.95. The reverse does not happen: what is dropped is
like a document before it.
"""

import json
import random
from collections import Counter

import pandas as pd
import pytest
from toy_config import PREPARED

from chameleon.core.artifacts import read_json
from chameleon.data.corpora import prepare as preparing
from chameleon.data.corpora.clean import document_id, normalise, split_of
from chameleon.data.corpora.dedup import NearDuplicates

DATA = {**PREPARED, "min_characters": 20, "max_characters": 5000, "split": {"validation": 0.2, "test": 0.2}}
DATA["dedup"] = {"near": True, "threshold": 0.8, "permutations": 64, "shingle_words": 5}
DOMAINS = ("one", "two", "three")
ORDER = ("test", "validation", "train")
WORDS = 200


def changed(pick, words, count):
    """Return words with `count` of them, ten apart at least, made others: each is in five shingles."""
    found = list(words)
    for place in pick.sample(range(5, WORDS - 5, 10), count):
        found[place] = f"x{pick.randrange(10**9)}"
    return found


def sample(changes, longest, seed):
    """Return texts by domain: stories, some with a long passage in common, and chains of copies.

    Args:
        changes: words that are others from one copy to the next.
        longest: copies of a chain at most.
        seed: of all of it.
    """
    pick = random.Random(seed)
    passage = [f"b{pick.randrange(500)}" for _ in range(120)]
    texts = {domain: [] for domain in DOMAINS}
    for number in range(240):
        words = [f"w{pick.randrange(3000)}" for _ in range(WORDS)]
        if number % 3 == 0:
            words[:120] = passage
        texts[DOMAINS[number % 3]].append(" ".join(words))
        if number % 4 == 0:
            # Each from the one before, so that the ends of a long chain are no duplicates.
            for _ in range(1 + number % longest):
                words = changed(pick, words, pick.choice(changes))
                texts[pick.choice(DOMAINS)].append(" ".join(words))
        if number % 10 == 0:
            texts[pick.choice(DOMAINS)].append(" ".join(words).upper())
            # Alike, but not enough: an index of about 0.7.
            texts[pick.choice(DOMAINS)].append(" ".join(changed(pick, words, 7)))
    return texts


def prepared(texts, tmp_path):
    """Return what `prepare` leaves, as {domain: {doc_id: split}}, and its counts."""
    for domain, told in texts.items():
        (tmp_path / "text" / domain).mkdir(parents=True)
        rows = "\n".join(json.dumps({"text": text}) for text in told)
        (tmp_path / "text" / domain / "all.jsonl").write_text(rows, encoding="utf-8")
    entry = {"kind": "local", "path": str(tmp_path / "text"), "text_field": "text"}
    spec = {"corpus": "mine", "entry": entry, "domains": list(DOMAINS), "data": DATA, "version": 1}
    preparing.prepare(spec, tmp_path / "out", 1)
    frames = {domain: pd.read_parquet(tmp_path / "out" / f"{domain}.parquet") for domain in DOMAINS}
    kept = {domain: dict(zip(f["doc_id"], f["split"], strict=True)) for domain, f in frames.items()}
    report = read_json(tmp_path / "out" / "report.json")["domains"]
    return kept, {domain: report[domain]["counts"] for domain in DOMAINS}


def shingles(text):
    words = normalise(text).split()
    return frozenset(tuple(words[i : i + 5]) for i in range(len(words) - 4))


def index(one, two):
    """The exact Jaccard index of two documents."""
    shared = len(one & two)
    return shared / (len(one) + len(two) - shared)


def all_pairs(sets):
    """Return what stays and what is counted when every document is compared with all before it.

    Within a domain in the order of ids, which is test, validation, train; then across domains, those of a
    split with the held-out ones of splits before it.
    """
    kept, counts = {}, {domain: Counter() for domain in DOMAINS}
    for domain, own in sets.items():
        kept[domain] = {}
        for doc_id in sorted(own):
            split = split_of(doc_id, DATA["split"])
            alike = [other for other in kept[domain] if index(own[doc_id], own[other]) >= 0.8]
            if alike:
                same = kept[domain][alike[0]] == split
                counts[domain]["near_duplicates" if same else "cross_split_duplicates"] += 1
            else:
                kept[domain][doc_id] = split
    held_out = []
    for split in ORDER:
        mine = [(d, doc_id) for d in DOMAINS for doc_id, of in list(kept[d].items()) if of == split]
        left = []
        for domain, doc_id in mine:
            if any(index(sets[domain][doc_id], other) >= 0.8 for other in held_out):
                del kept[domain][doc_id]
                counts[domain]["cross_split_duplicates"] += 1
            else:
                left.append(sets[domain][doc_id])
        held_out += left
    return kept, counts


def by_id(texts):
    return {d: {document_id(normalise(text)): shingles(text) for text in told} for d, told in texts.items()}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_dropped_is_what_comparing_all_pairs_drops(seed, tmp_path):
    """Copies with one word of 200 changed, an index of 0.95."""
    texts = sample([1], 1, seed)
    sets = by_id(texts)
    kept, counts = all_pairs(sets)
    ours, told = prepared(texts, tmp_path)
    assert ours == kept
    for name in ("near_duplicates", "cross_split_duplicates"):
        assert {d: told[d][name] for d in DOMAINS} == {d: counts[d][name] for d in DOMAINS}
        assert sum(told[d][name] for d in DOMAINS) >= 3
    # Beside them stands what shares much and is no duplicate.
    values = [index(a, b) for own in sets.values() for a in own.values() for b in own.values() if a is not b]
    assert sum(0.3 < value < 0.8 for value in values) > 100


def test_what_bands_miss_is_no_more_than_they_say(tmp_path):
    """Chains of copies with one to four words of 200 changed each, indices from 0.95 down to 0.82."""
    near = NearDuplicates(0.8, 64, 5)
    assert [end - start for start, end in near.bands] == [7] * 9
    texts = sample([1, 2, 3, 4], 6, 7)
    sets = by_id(texts)
    ours, _ = prepared(texts, tmp_path)
    splits = {doc_id: split_of(doc_id, DATA["split"]) for own in sets.values() for doc_id in own}
    dropped = missed = 0
    for domain, own in sets.items():
        for doc_id in sorted(own):
            earlier = ORDER[: ORDER.index(splits[doc_id])]
            held_out = [(d, o) for d in DOMAINS for o in sets[d] if splits[o] in earlier]
            before = [*((domain, o) for o in own if o < doc_id), *held_out]
            alike = [(d, o) for d, o in before if index(own[doc_id], sets[d][o]) >= 0.8]
            if doc_id in ours[domain]:
                missed += any(o in ours[d] for d, o in alike)
            else:
                assert alike, "nothing is dropped for nothing"
                dropped += 1
    print(f"{dropped} dropped, {missed} missed")
    # No pair of them is missed more often than one at the threshold.
    assert dropped > 100 and missed <= (1 - 0.8**7) ** 9 * (dropped + missed)
