"""The last of the property tests: what was tried, taken together."""

import pytest
import tally

PARSERS = 9


def test_every_malformed_input_was_refused_and_every_valid_one_accepted() -> None:
    if len(tally.COUNTS) < PARSERS:
        pytest.skip("only some of the property tests ran")
    for name, count in tally.COUNTS.items():
        assert count.malformed == count.refused > 0 and count.valid == count.accepted > 0, name
    if tally.FULL:
        assert sum(count.malformed for count in tally.COUNTS.values()) >= 2000
