"""Numbers and texts of exported files: shares that sum to one as printed, decimals, JSON, YAML, comments.

Trainers read their files with many parsers. What all of them agree on: numbers are plain decimals (YAML 1.1
reads `1e-05` as a word), and a word that could be anything else stands in quotes.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence, Set
from decimal import Decimal
from typing import Any

import yaml

#: Words that need no quotes in any version of YAML, in any reader.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
#: Words that some reader takes for a truth value, a null or a number.
WORDS = {"y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf", "infinity"}


def rounded(shares: Sequence[float], decimals: int, floored: Set[int] = frozenset()) -> list[Decimal]:
    """Return shares with so many decimals that sum to exactly one (largest remainders).

    Args:
        shares: not negative; divided by their sum.
        decimals: at least 1.
        floored: places that are rounded down, as long as another can take the rest: domains at their cap must
            not go beyond it.
    """
    units, total = 10**decimals, math.fsum(shares)
    exact = [share / total * units for share in shares]
    # 0.2 of a million may come out a hair below 200000.
    found = [math.floor(value * (1 + 1e-14)) for value in exact]
    free = [i for i in range(len(found)) if i not in floored] or list(range(len(found)))
    order = sorted(free, key=lambda i: (found[i] - exact[i], i))
    # More than one unit per place is missing only where most places are floored.
    for step in range(units - sum(found)):
        found[order[step % len(order)]] += 1
    for _ in range(sum(found) - units):  # float64's own rounding, beyond 15 decimals or so
        found[max(range(len(found)), key=found.__getitem__)] -= 1
    return [Decimal(value).scaleb(-decimals) for value in found]


def plain(number: Decimal | float | int) -> str:
    """Return a number without an exponent; whole floats without a point."""
    if isinstance(number, float):
        number = Decimal(repr(number))
        number = number.to_integral_value() if number == number.to_integral_value() else number
    return format(number, "f")


def one_line(text: str) -> str:
    """Return a text on one line: names may hold line breaks, comments may not."""
    return " ".join(text.split())


def comments(lines: Iterable[str]) -> str:
    """Return lines as comments."""
    return "".join(f"# {one_line(line)}".rstrip() + "\n" for line in lines)


def json_text(value: Any, indent: int = 0) -> str:
    """Return JSON whose decimals stay as they are; an object's and a list's entries a line each."""
    deeper, end = "\n" + " " * (indent + 1), "\n" + " " * indent
    if isinstance(value, dict):
        cells = [
            f"{json.dumps(str(k), ensure_ascii=False)}: {json_text(v, indent + 1)}" for k, v in value.items()
        ]
        return f"{{{deeper}{(',' + deeper).join(cells)}{end}}}" if cells else "{}"
    if isinstance(value, list | tuple):
        cells = [json_text(v, indent + 1) for v in value]
        return f"[{deeper}{(',' + deeper).join(cells)}{end}]" if cells else "[]"
    if isinstance(value, Decimal | float):
        return plain(value)
    return json.dumps(value, ensure_ascii=False)


class _Dumper(yaml.SafeDumper):
    """PyYAML's, with plain decimals, quoted words and indented lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _word(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    safe = PLAIN.fullmatch(text) is not None and text.lower() not in WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if safe else '"')


def _number(dumper: yaml.SafeDumper, number: Decimal | float) -> yaml.ScalarNode:
    text = plain(number)
    return dumper.represent_scalar("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


_Dumper.add_representer(str, _word)
_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(float, _number)


def yaml_text(value: Any) -> str:
    """Return YAML that versions 1.1 and 1.2 read alike."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000)


def slugs(names: Sequence[str]) -> list[str]:
    """Return names of letters, digits and `_`, all different even in lower case, in the order of `names`."""
    found: list[str] = []
    for name in names:
        base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "domain"
        base = f"d_{base}" if base[0].isdigit() else base
        slug, n = base, 2
        while slug.lower() in {other.lower() for other in found}:
            slug, n = f"{base}_{n}", n + 1
        found.append(slug)
    return found


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns below each other; the first column left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
