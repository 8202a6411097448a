"""The checks that methods share: what they let through, and their words."""

import math

import pytest

from chameleon.core.errors import UserError
from chameleon.mixing.parameters import check_flag, check_number, check_whole, is_number


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "said"),
    [
        ({}, [0, -1.5, 10**300], ["1", None, True, math.nan, -math.inf, 10**400], "a number"),
        ({"above": 0}, [0.1, 3], [0, -1, math.nan, math.inf, False], "a number above 0"),
        ({"least": 0, "below": 1}, [0, 0.99], [-0.01, 1], "a number of at least 0 and below 1"),
        ({"above": 0, "most": 700}, [1, 700], [0, 701], "a number above 0 and at most 700"),
        ({"least": 1, "optional": True}, [None, 1], [0.5], "a number of at least 1, or null"),
    ],
)
def test_numbers(bounds, good, bad, said):
    for value in good:
        check_number("here: x", value, **bounds)
    for value in bad:
        with pytest.raises(UserError) as caught:
            check_number("here: x", value, **bounds)
        assert str(caught.value) == f"here: x: {value!r} is not {said}"


def test_whole_numbers():
    check_whole("here: n", 2, 2)
    check_whole("here: n", None, 2, optional=True)
    for value in (1, 2.0, True, "2", None):
        with pytest.raises(UserError, match=r"^here: n: .* is not a whole number of at least 2$"):
            check_whole("here: n", value, 2)
    with pytest.raises(UserError, match="at least 2, or null$"):
        check_whole("here: n", 0, 2, optional=True)


def test_flags():
    for value in (True, False):
        check_flag("here: f", value)
    for other in (1, 0, None, "true"):
        with pytest.raises(UserError, match="^here: f: .* is not true or false$"):
            check_flag("here: f", other)


def test_is_number_knows_the_bounds():
    assert is_number(0.5, above=0, most=1) and not is_number(0, above=0, most=1) and not is_number(True)
