"""One pass over text: windows uniform over its characters, in constant memory, the same every time."""

import numpy as np
import pytest

from chameleon.weighing.text import sample
from chameleon.weighing.text.sample import Sampler


def drawn(texts, count=2000, characters=20, seed=0, domain="d"):
    sampler = Sampler(domain, count, characters, seed)
    for text in texts:
        sampler.add(text)
    return sampler, sampler.drawn()


def test_documents_are_hit_in_proportion_to_their_length(monkeypatch):
    monkeypatch.setattr(sample, "CHUNK", 1000)
    rng = np.random.default_rng(0)
    lengths = rng.integers(50, 400, 60)
    sampler, windows = drawn(["x" * int(n) for n in lengths], 20000)
    hits = np.bincount([w.document for w in windows], minlength=60)
    expected = 20000 * lengths / lengths.sum()
    # Windows are moved back at a chunk's end, by 20 of about 1,000 characters: a document's share moves by
    # 20 / 400 at most.
    assert np.abs(hits - expected).max() < 5 * np.sqrt(expected.max()) + 0.05 * expected.max()
    assert (sampler.documents, sampler.characters_seen) == (60, lengths.sum())


def test_chunks_do_not_matter_to_what_is_likely(monkeypatch):
    shares = []
    for chunk in (100, 10**6):
        monkeypatch.setattr(sample, "CHUNK", chunk)
        _, windows = drawn(["a" * 100] * 10 + ["b" * 100] * 30, 8000)
        shares.append(np.mean([w.pieces[0][0] == "b" for w in windows]))
    assert shares == pytest.approx([0.75, 0.75], abs=0.03)


def test_windows_run_on_into_the_next_documents():
    _, windows = drawn(["aaaa", "bbbb", "cccc"], characters=12)
    assert {w.pieces for w in windows} == {("aaaa", "bbbb", "cccc")}
    _, windows = drawn(["a" * 8, "b" * 8], characters=4)
    assert {w.document for w in windows} == {0, 1} and any(len(w.pieces) == 2 for w in windows)


def test_a_document_in_blocks_is_one_document():
    sampler = Sampler("d", 50, 12, 0)
    for i in range(6):
        sampler.add("abcd" * 2, new=i == 0)
    windows = sampler.drawn()
    assert sampler.documents == 1
    assert {w.document for w in windows} == {0} and {len(w.pieces) for w in windows} == {1}


def test_a_window_begins_at_a_word():
    _, windows = drawn(["alpha beta gamma delta " * 50], 500, 60)
    assert {w.pieces[0].split()[0] for w in windows} <= {"alpha", "beta", "gamma", "delta"}


def test_same_seed_same_windows_and_other_domains_others():
    texts = ["one two three four five six seven eight nine ten " * 20] * 3
    first = drawn(texts, 50)[1]
    assert drawn(texts, 50)[1] == first
    assert drawn(texts, 50, domain="e")[1] != first and drawn(texts, 50, seed=1)[1] != first


def test_no_text_no_windows():
    assert drawn([])[1] == [] and drawn(["", ""])[1] == []


def test_what_is_held_does_not_grow():
    sampler = Sampler("d", 100, 100, 0)
    most = 0
    for i in range(3000):
        sampler.add(f"{i} " * 300)
        most = max(most, sampler._held)
    assert most < 2 * sample.CHUNK and sampler.characters_seen > 10 * sample.CHUNK
