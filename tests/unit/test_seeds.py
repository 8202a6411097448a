"""Derived seeds are the same on every machine and for ever: a change would change every result."""

import hashlib

from chameleon.core.seeds import derive, generator


def test_golden_values():
    """First 16 hex digits of `printf '0\\037init\\037base' | sha256sum`, halved."""
    assert derive(0, "init", "base") == 0x8698891A923AD917 >> 1 == 4849326272378924171
    assert derive(0, "data") == 8767684250584988593
    assert derive(1, "data") == 6916931511590416897
    assert derive(0, "method", "pretrain", "chameleon") == 3106723367705056527
    text = "7\x1forder\x1farxiv\x1f3"
    assert derive(7, "order", "arxiv", 3) == int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2


def test_generators_are_golden_too():
    """numpy keeps the bit stream of PCG64 and of `integers`."""
    assert generator(3, "windows", "arxiv").integers(0, 1000, 5).tolist() == [308, 793, 408, 418, 305]


def test_axes_are_told_apart_and_fit_63_bits():
    seeds = [derive(s, *axes) for s in range(200) for axes in ((), ("a",), ("a", "b"), ("b", "a"), ("ab",))]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0 and 2**62 < max(seeds) < 2**63, "torch and numpy take them all"
