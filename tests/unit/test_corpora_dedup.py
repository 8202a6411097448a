"""Near-duplicate search: exactly the pairs that comparing every candidate finds, in far less time."""

import random
import time

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from chameleon.data.corpora import dedup, shingles
from chameleon.data.corpora.dedup import Index, NearDuplicates

NEAR = NearDuplicates(threshold=0.8, permutations=64, shingle_words=5)


def words(pick, count, vocabulary=300):
    return [f"w{pick.randrange(vocabulary)}" for _ in range(count)]


def letters(pick, count):
    """Form letters, and near copies of every tenth: a template, a tenth to a third of their own."""
    template = words(pick, 200)
    found = []
    for number in range(count):
        found.append(template + words(pick, pick.randrange(20, 100)))
        if number % 10 == 0:
            found.append([*found[-1][:-2], "copied", "twice"])
    return found


def edits(pick, count):
    """Copies of one text with some words changed: similar to each other just above or below the threshold."""
    base = words(pick, 250)
    return [
        [f"x{pick.randrange(10**6)}" if pick.random() < share else word for word in base]
        for share in (pick.choice([0.005, 0.01, 0.02, 0.03]) for _ in range(count))
    ]


def excerpts(pick, count):
    """Selections of the same sixty passages: what any two share is in many others as well."""
    passages = [words(pick, 12) for _ in range(60)]
    return [sum((p for p in passages if pick.random() < 0.9), []) for _ in range(count)]


def blocks(pick, count):
    """Documents of two or three out of eight long passages and a few words of their own."""
    passages = [words(pick, 90) for _ in range(8)]
    return [sum(pick.sample(passages, pick.choice([2, 3])), words(pick, 15)) for _ in range(count)]


def short(pick, count):
    """A few words from few: equal texts, texts of one shingle, no words at all."""
    return [words(pick, pick.randrange(9), 4) for _ in range(count)]


def compare_all(near, texts):
    """Return what `search` does, by exact comparison with every candidate of datasketch's own index."""
    lsh = MinHashLSH(near.threshold, near.permutations, weights=(0.1, 0.9))
    sets, found = {}, []
    for key, text in enumerate(texts):
        document = near.document(text)
        signature, mine = MinHash(near.permutations, seed=1), set(document.shingles.tolist())
        signature.hashvalues = document.signature
        similar = [
            k
            for k in sorted(lsh.query(signature))
            if mine | sets[k] and len(mine & sets[k]) >= near.threshold * len(mine | sets[k])
        ]
        found.append(similar)
        if not similar or key % 7 == 0:
            lsh.insert(key, signature)
            sets[key] = mine
    return found


def search(near, texts):
    """Return the matches of each text among those before it that had none (and every seventh that had)."""
    index, found = Index(near), []
    for key, text in enumerate(texts):
        document = near.document(text)
        found.append(index.matches(document))
        if not found[-1] or key % 7 == 0:
            index.add(key, document)
    return found


@pytest.mark.parametrize("make", [letters, edits, excerpts, blocks, short])
@pytest.mark.parametrize(("threshold", "permutations"), [(0.8, 64), (0.5, 32), (0.9, 128)])
def test_the_search_finds_what_comparing_every_candidate_finds(make, threshold, permutations):
    near = NearDuplicates(threshold, permutations, shingle_words=3)
    texts = [" ".join(text) for text in make(random.Random(f"{make.__name__}{threshold}"), 150)]
    found = search(near, texts)
    assert found == compare_all(near, texts)
    assert any(found) or make is blocks


def test_shingles_without_a_number_count_as_well(monkeypatch):
    """With two documents in three needed for a number, most of what two copies share is in lists."""
    monkeypatch.setattr(dedup, "RARE", 1.5)
    texts = [" ".join(text) for make in (letters, edits, blocks) for text in make(random.Random(1), 100)]
    found = search(NEAR, texts)
    assert any(found) and found == compare_all(NEAR, texts)


def test_form_letters_do_not_cost_the_square_of_their_number():
    """Eight times as many took 64 times as long when all pairs were compared."""
    pick = random.Random(2)
    template = " ".join(words(pick, 400))
    texts = [f"{template} {' '.join(words(pick, 70))}" for _ in range(1600)]
    documents = [NEAR.document(text) for text in texts]
    seconds = {}
    for count in (200, 1600):
        started = time.process_time()
        index = Index(NEAR)
        for key, document in enumerate(documents[:count]):
            assert not index.matches(document)
            index.add(key, document)
        seconds[count] = time.process_time() - started
    assert len(index._groups) < 200, "form letters collide"
    assert seconds[1600] < 32 * seconds[200] + 0.2


@pytest.mark.parametrize("threshold", [1 / 3, 0.8, 0.7, 1.0])
def test_a_bound_never_leaves_out_what_the_threshold_takes(threshold):
    """Fewer in common, or more in all, never reaches what more in common or less in all does not."""
    near = NearDuplicates(threshold, 64, 5)
    shared, total = np.meshgrid(np.arange(60), np.arange(160), indexing="ij")
    reached = near.reached(shared, total) & (2 * shared <= total)
    possible = (2 * shared <= total)[:-1, :-1]
    assert not (reached[:-1, 1:] & ~reached[:-1, :-1] & possible).any()
    assert not (reached[:-1] & ~reached[1:] & (2 * shared[1:] <= total[1:])).any()
    assert reached.any() and near.reached(0, 0) == False  # noqa: E712


def test_a_signature_is_datasketchs():
    found = shingles.shingles(" ".join(words(random.Random(3), 500)), 5)
    theirs = MinHash(64, seed=1, hashfunc=int)
    for some in (found[:0], found[:1], found):
        theirs.update_batch(some.tolist())
        ours = shingles.signature(some, NEAR.functions)
        assert np.array_equal(ours, theirs.hashvalues) and ours.dtype == theirs.hashvalues.dtype


ODD = [
    "",
    " ",
    "one",
    "one two three four",
    "one two three four five",
    "\u4e16\u754c and \u3042\u3044 x",
    "A\u00a0B c",
]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("together", [1, 900, 10**6])
def test_texts_signed_together_have_the_bands_of_each_alone(size, together, monkeypatch):
    monkeypatch.setattr(shingles, "TOGETHER", together)
    pick, near = random.Random(4), NearDuplicates(0.8, 64, size)
    texts = [*ODD, *(" ".join(words(pick, pick.randrange(40))) for _ in range(60)), *ODD]
    values = near.band_values(texts)
    for text, mine in zip(texts, values, strict=True):
        hashes = near.document(text).signature
        for (start, end), value in zip(near.bands, mine.tolist(), strict=True):
            told = 0
            for place in hashes[start:end].tolist():
                told = (told * int(shingles.MULTIPLIER) + place) % 2**64
            assert value == told * int(shingles.MIXER) % 2**64
    assert len(np.unique(values[:, 0])) > 50
    assert near.band_values([]).shape == (0, len(near.bands))
