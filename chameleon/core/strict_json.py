"""JSON as the standard has it: what Python's own reader lets pass in silence is refused, in one line.

Python takes the last of two equal keys, reads NaN and Infinity, turns 1e999 into infinity, keeps half of a
surrogate pair (which cannot be written again) and ends in a RecursionError where brackets nest too deeply.
"""

import json
import math
import re
from typing import Any, NoReturn

#: Digits beyond which a whole number is none that float64 can hold.
MOST_DIGITS = 300
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(data: str | bytes) -> Any:
    """Return the value in a JSON text; a byte order mark is skipped.

    Raises:
        ValueError: in one line: not UTF-8, not JSON, a key twice, a number that is not finite or too large,
            half of a surrogate pair, or brackets nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        bad = f"0x{error.object[error.start]:02x} at byte {error.start}"
        raise ValueError(f"not UTF-8 ({bad})") from error
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no character") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"{text[:20]}... is too large: {len(text)} digits")
    return int(text)
