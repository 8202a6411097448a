"""Allocation by hand-made cases and invariants; the streams do not depend on the mixture."""

import random

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.data.order import keyed
from chameleon.data.sampler import MixtureSampler, Segment, allocate, batches

SIZES = {"a": 7, "b": 40, "c": 100}


def by_domain(segment):
    """Return the blocks of each domain in the order drawn."""
    drawn = {d: [] for d in SIZES}
    for domain, block in segment[:]:
        drawn[domain].append(block)
    return drawn


@pytest.mark.parametrize(
    ("weights", "total", "expected"),
    [
        # exact shares 4.8, 3.2, 2.0: the one block over goes to the largest remainder
        ({"a": 0.48, "b": 0.32, "c": 0.2}, 10, {"a": 5, "b": 3, "c": 2}),
        # 0.7, 1.4, 4.9: two over, to c and a
        ({"a": 0.1, "b": 0.2, "c": 0.7}, 7, {"a": 1, "b": 1, "c": 5}),
        # all remainders equal: by name, whatever the order
        ({"c": 0.25, "b": 0.25, "a": 0.25, "d": 0.25}, 6, {"a": 2, "b": 2, "c": 1, "d": 1}),
        ({"a": 0.0, "b": 1.0}, 3, {"a": 0, "b": 3}),
        ({"a": 0.5, "b": 0.5}, 0, {"a": 0, "b": 0}),
    ],
)
def test_largest_remainder_by_hand(weights, total, expected):
    counts = allocate(weights, total)
    assert counts == expected and list(counts) == list(weights)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a": 20, "b": 99, "c": 99}, {"a": 20, "b": 48, "c": 32}),  # the other 80 at 3 : 2
        ({"a": 20, "b": 40, "c": 99}, {"a": 20, "b": 40, "c": 40}),  # b would get 48: capped in turn
        ({"a": 50, "b": 30, "c": 20}, {"a": 50, "b": 30, "c": 20}),  # exactly full
        ({"a": 0, "b": 99, "c": 99}, {"a": 0, "b": 60, "c": 40}),
    ],
)
def test_surplus_of_capped_domains_by_hand(limits, expected):
    assert allocate({"a": 0.5, "b": 0.3, "c": 0.2}, 100, limits) == expected


def test_rounding_up_stays_below_the_cap():
    # 10/3 each: a may not have the block over, although it comes first by name
    assert allocate(dict.fromkeys("abc", 1 / 3), 10, {"a": 3, "b": 9, "c": 9}) == {"a": 3, "b": 4, "c": 3}


def test_all_at_their_cap_is_an_error():
    with pytest.raises(ValueError, match="5 of 100 blocks are over when every domain is at its cap"):
        allocate({"a": 0.5, "b": 0.5, "c": 0.0}, 100, {"a": 60, "b": 35, "c": 1000})


def test_allocation_invariants():
    """Sums are exact, shares within one block, caps held, and the order of the domains plays no part.

    Weights are small fractions on purpose: remainders then tie, and the last bit of a sum would decide.
    """
    rng = random.Random(0)
    for _ in range(3000):
        parts = [rng.randint(0, 20) for _ in range(rng.randint(2, 6))]
        parts[0] += 1
        weights = {chr(97 + i): n / sum(parts) for i, n in enumerate(parts)}
        total = rng.randint(1, 60)
        counts = allocate(weights, total)
        assert sum(counts.values()) == total
        assert all(abs(counts[d] - w * total) < 1 + 1e-9 for d, w in weights.items())
        assert all(counts[d] == 0 for d, w in weights.items() if w == 0)
        moved = rng.sample(list(weights.items()), len(weights))
        assert allocate(dict(moved), total) == counts
        limits = {d: rng.randint(0, 40) for d in weights}
        if sum(limits[d] for d, w in weights.items() if w > 0) >= total:
            capped = allocate(weights, total, limits)
            assert sum(capped.values()) == total and all(capped[d] <= limits[d] for d in weights)
            assert allocate(dict(moved), total, limits) == capped


def test_the_nth_block_of_a_domain_is_the_same_under_every_mixture():
    one = by_domain(MixtureSampler(SIZES, seed=5).segment({"a": 0.1, "b": 0.2, "c": 0.7}, 300))
    other = by_domain(MixtureSampler(SIZES, seed=5).segment({"c": 0.1, "a": 0.6, "b": 0.3}, 200))
    for domain in SIZES:
        shared = min(len(one[domain]), len(other[domain]))
        assert shared >= 20 and one[domain][:shared] == other[domain][:shared]
    another_seed = by_domain(MixtureSampler(SIZES, seed=6).segment({"a": 0.1, "b": 0.2, "c": 0.7}, 300))
    assert all(another_seed[d] != one[d] for d in SIZES)


def test_every_epoch_is_a_permutation_of_its_own():
    drawn = by_domain(MixtureSampler(SIZES, seed=0).segment({"a": 0.1, "b": 0.4, "c": 0.5}, 300))
    for domain, size in SIZES.items():
        epochs = [drawn[domain][i : i + size] for i in range(0, len(drawn[domain]), size)]
        whole = [e for e in epochs if len(e) == size]
        assert whole and all(sorted(e) == list(range(size)) for e in whole)
        assert len({tuple(e) for e in whole}) == len(whole)
    assert len(drawn["a"]) == 30, "a takes four passes and a bit"


def test_segments_continue_the_streams():
    weights = {"a": 0.1, "b": 0.4, "c": 0.5}
    whole = by_domain(MixtureSampler(SIZES, seed=1).segment(weights, 200))
    sampler = MixtureSampler(SIZES, seed=1)
    parts = [by_domain(sampler.segment(weights, n)) for n in (50, 110, 40)]
    assert {d: [b for part in parts for b in part[d]] for d in SIZES} == whole
    assert sampler.drawn == {"a": 20, "b": 80, "c": 100}
    assert sampler.effective_epochs() == {"a": 20 / 7, "b": 2.0, "c": 1.0}


def test_domains_are_spread_evenly():
    """After any n blocks a domain of weight w has had n·w of them, up to 1 + k·w.

    Each domain's blocks lie at equal distances, so at any time a count is off by less than one, and n itself
    by less than k. A random order of 3200 blocks would stray by some 30.
    """
    weights = {"a": 0.55, "b": 0.05, "c": 0.4}
    played = MixtureSampler(SIZES, seed=2).segment(weights, 3200)[:]
    counts = dict.fromkeys(weights, 0)
    for n, (domain, _) in enumerate(played, start=1):
        counts[domain] += 1
        assert all(abs(counts[d] - n * w) <= 1 + len(weights) * w for d, w in weights.items())
    assert counts == allocate(weights, 3200)


def test_offsets_differ_so_that_domains_do_not_march_in_step():
    sizes = {d: 50 for d in "abcdefgh"}
    sampler = MixtureSampler(sizes, seed=0)
    rounds = [[d for d, _ in batch] for batch in batches(sampler.segment(dict.fromkeys(sizes, 1 / 8), 64), 8)]
    assert all(sorted(r) == sorted(sizes) for r in rounds) and rounds[0] != sorted(sizes)
    again = [d for d, _ in sampler.segment(dict.fromkeys(sizes, 1 / 8), 8)[:]]
    assert sorted(again) == sorted(sizes) and again != rounds[0], "every segment has its own offsets"


def test_the_cap_counts_passes_over_the_whole_run():
    sampler = MixtureSampler(SIZES, seed=0, max_epochs=2)
    weights = {"a": 0.5, "b": 0.25, "c": 0.25}
    sampler.segment(weights, 20)
    assert sampler.drawn == {"a": 10, "b": 5, "c": 5}
    sampler.segment(weights, 20)  # a may have 4 more; the other 16 go half and half
    assert sampler.drawn == {"a": 14, "b": 13, "c": 13}
    assert sampler.effective_epochs()["a"] == 2
    with pytest.raises(UserError, match=r"^max_epochs 2: .*raise max_epochs or train on fewer tokens$"):
        sampler.segment(weights, 300)


def test_a_domain_without_a_block_is_refused():
    with pytest.raises(UserError, match="domain 'empty' has no complete block of training tokens"):
        MixtureSampler({"a": 3, "empty": 0}, seed=0)


def test_batches_cut_in_order():
    assert list(batches([("a", 1), ("b", 2), ("c", 3)], 2)) == [[("a", 1), ("b", 2)], [("c", 3)]]


def listed(weights, total, seed):
    """The oracle: every block of a segment in a list, sorted."""
    counts = allocate(weights, total)
    slots = []
    for domain, count in counts.items():
        offset = generator(seed, "offset", domain, 0).random()
        n = SIZES[domain]
        for j in range(count):
            epoch, place = divmod(j, n)
            block = generator(seed, "order", domain, epoch).permutation(n)[place]
            slots.append(((j + offset) / count, domain, int(block)))
    return [(domain, block) for _, domain, block in sorted(slots)]


@pytest.mark.parametrize("weights", [{"a": 0.01, "b": 0.5, "c": 0.49}, {"a": 1.0, "b": 0.0, "c": 0.0}])
def test_any_stretch_of_a_segment_is_that_of_the_whole_list(weights):
    whole, segment = listed(weights, 517, seed=4), MixtureSampler(SIZES, seed=4).segment(weights, 517)
    assert len(segment) == 517 and segment[:] == whole
    for start, stop in [(0, 1), (516, 517), (100, 137), (0, 517), (511, 999), (7, 7), (-3, None)]:
        assert segment[start:stop] == whole[start:stop]
    assert [b for batch in batches(segment, 8, first=3) for b in batch] == whole[24:]


def test_ties_between_domains_go_by_name():
    segment = Segment(dict.fromkeys("ba", 4), dict.fromkeys("ba", 0.5), dict.fromkeys("ba", 0), SIZES, 0)
    assert [d for d, _ in segment[:]] == ["a", "b"] * 4


@pytest.mark.parametrize("count", [1, 2, 3, 64, 1000, 4097])
def test_a_keyed_permutation_is_one(count):
    keys = [np.random.default_rng(seed).integers(2**64, size=6, dtype=np.uint64) for seed in range(2)]
    one, other = (keyed(np.arange(count), count, k) for k in keys)
    assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(count))
    assert count < 64 or (one != other).mean() > 0.9
    assert keyed(np.array([count - 1]), count, keys[0])[0] == one[-1]


def test_a_keyed_permutation_looks_like_chance():
    """Neighbours land apart, and halves are hit alike: within four standard errors."""
    image = keyed(np.arange(100_000), 100_000, np.arange(1, 7).astype(np.uint64))
    assert abs(np.corrcoef(image[:-1], image[1:])[0, 1]) < 4 / np.sqrt(100_000)
    assert abs((image[:10_000] < 50_000).mean() - 0.5) < 4 * 0.5 / 100


def test_a_domain_of_a_million_million_tokens_costs_what_a_small_one_does():
    sizes = {"a": 10**9, "b": 3 * 10**9}
    sampler = MixtureSampler(sizes, seed=1)
    segment = sampler.segment({"a": 0.5, "b": 0.5}, 2 * 10**9)
    batch = segment[10**9 : 10**9 + 8]
    assert [d for d, _ in batch].count("a") == 4 and all(0 <= n < sizes[d] for d, n in batch)
    assert segment[10**9 + 4 : 10**9 + 6] == batch[4:6]
    assert sampler.state() == {"drawn": {"a": 10**9, "b": 10**9}, "segments": 1}
    second = sampler.segment({"a": 0.5, "b": 0.5}, 8)
    assert len(second) == 8 and len(set(second[:])) == 8
