"""Ways to spoil files, used by several tests.

What `text` returns no reader may accept, whatever valid object it is given. What `edits` returns may be
anything.
"""

import json
import re
from typing import Any

from hypothesis import strategies as st

#: Values of every kind but a number, and numbers of the wrong kind.
ODD = st.sampled_from([None, True, False, "", "0.5", "x", [], [0.5], {}, {"x": 1}])


@st.composite
def text(draw: st.DrawFn, value: Any) -> bytes:
    """Return the JSON of an object, spoilt as a text."""
    good = json.dumps(value, ensure_ascii=False)
    return draw(st.sampled_from([_cut, _not_utf8, _doubled, _no_number, _surrogate, _deep, _extra, _binary]))(
        draw, good
    )


def _cut(draw: st.DrawFn, good: str) -> bytes:
    """An object is none without its last brace."""
    return good.encode()[: draw(st.integers(0, len(good.encode()) - 1))]


def _not_utf8(draw: st.DrawFn, good: str) -> bytes:
    data, place = good.encode(), draw(st.integers(0, len(good.encode())))
    return data[:place] + draw(st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80"])) + data[place:]


def _doubled(draw: st.DrawFn, good: str) -> bytes:
    """The first key of the object stands there again, at its end."""
    key = next(iter(json.loads(good)))
    return f"{good[:-1]}, {json.dumps(key, ensure_ascii=False)}: 0}}".encode()


def _no_number(draw: st.DrawFn, good: str) -> bytes:
    odd = draw(
        st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 5000, "01", "0x1", ".5"])
    )
    return f'{good[:-1]}, "number": {odd}}}'.encode()


def _surrogate(draw: st.DrawFn, good: str) -> bytes:
    half = draw(st.sampled_from(["\\ud800", "\\udfff", "\\udc00\\ud800"]))
    return f'{good[:-1]}, "half": "{half}"}}'.encode()


def _deep(draw: st.DrawFn, good: str) -> bytes:
    return f'{good[:-1]}, "deep": {"[" * 50_000}{"]" * draw(st.sampled_from([0, 50_000]))}}}'.encode()


def _extra(draw: st.DrawFn, good: str) -> bytes:
    return good.encode() + draw(st.sampled_from([b"}", b"{}", b",", b" x", b"\x00", good.encode()]))


def _binary(draw: st.DrawFn, good: str) -> bytes:
    """Bytes that only chance would make an object."""
    data = draw(st.binary(max_size=40))
    return data if not re.search(rb"\{", data) else b"\x89PNG" + data


#: What is worth putting anywhere.
_BITS = [
    b"", b"\n", b"\r\n", b"\r", b" ", b"\t", b",", b";", b'"', b"'", b":", b"-", b"{", b"}", b"[", b"]", b"#",
    b"&a ", b"*a", b"!!x ", b"%", b"\\", b"\\u0000", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"0",
    b"-1", b"1e999", b"nan", b"null", b"true", b"9" * 400, b"1_000", b"../", b"\xc3\xa9",
]  # fmt: skip


@st.composite
def edits(draw: st.DrawFn, data: bytes) -> bytes:
    """Return data after one to four cuts, insertions, replacements or repetitions somewhere."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 12)))
        new = draw(st.sampled_from(_BITS) | st.binary(max_size=3) | st.just(data[start:stop] * 2))
        data = data[:start] + new + data[stop:]
    return data
