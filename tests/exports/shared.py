"""What the driver and the readers share: the domains, their text, and how a reader reports.

Every token of a domain is the same number, so what a library reads says whose it is.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

#: Token shares asked for; names that files and parsers stumble over.
WEIGHTS = {"web": 0.4136, "code: c++ #1": 0.2863, "yes": 0.18, "books'": 0.09, "math 2": 0.03, "tiny": 0.0001}
#: Tokens per document.
LENGTHS = {"web": 50, "code: c++ #1": 30, "yes": 15, "books'": 100, "math 2": 24, "tiny": 25}
NAMES = list(WEIGHTS)
#: Tokens per sequence, and tokens that each domain has on disk.
LENGTH, TOKENS = 64, 192_000
#: Folder or file of a domain's text, by its place.
FILES = [f"domain_{i}" for i in range(len(NAMES))]


def token(i: int) -> int:
    """Return the number that all tokens of the i-th domain are; 0 is the end of a text."""
    return i + 1


def folder() -> Path:
    """Return the reader's folder: `data` for its text, `export` with the exported files."""
    return Path(sys.argv[1])


def data(i: int) -> Path:
    """Return the path of a domain's text, without an end."""
    return folder() / "data" / FILES[i]


def write_jsonl() -> None:
    """Write each domain's documents as JSON lines: `text` is the domain's number, again and again."""
    for i, name in enumerate(NAMES):
        data(i).parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"text": " ".join([str(token(i))] * LENGTHS[name])}) + "\n"
        data(i).with_suffix(".jsonl").write_text(line * (TOKENS // LENGTHS[name]))


def script() -> dict:
    """Return the names of the exported mixture.py (or load.py)."""
    path = next(p for p in (folder() / "export").glob("*.py"))
    names: dict = {"__file__": str(path), "__name__": "mixture"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def report(library: str, by: str, counts: dict[int, float] | list[float]) -> None:
    """Print what was read, tokens by the domain's place: the last line of the reader's output."""
    pairs = counts.items() if isinstance(counts, dict) else enumerate(counts)
    tokens = {NAMES[i]: float(n) for i, n in pairs}
    print("\n" + json.dumps({"version": f"{library} {version(library)}", "by": by, "tokens": tokens}))
