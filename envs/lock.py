"""Turn `pip freeze` into requirements.lock and envs/suite.yaml, so that the two cannot disagree.

    python -m pip freeze --all | python envs/lock.py

Called by `make lock` in a fresh environment that holds requirements.in and nothing else. The conda file lists
the pins again because Snakemake copies it alone into .snakemake/conda/ before conda reads it: a relative
`-r ../requirements.lock` would point nowhere, and a changed lock would not make a new environment.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# pip belongs to the interpreter. The others are wheels that torch brings on machines with an NVIDIA driver's
# libraries: pinned, they would make the lock useless on any other platform; torch pins them itself.
SKIPPED = re.compile(r"^(pip|wheel|triton|chameleon-mixing-bench|nvidia-.*|cuda-.*)==", re.IGNORECASE)

LOCK_HEADER = """\
# Every package of the environment at the version it was tested with. Made by `make lock` from
# requirements.in; do not edit by hand.
"""

ENV_HEADER = """\
# The environment of every rule under `snakemake --use-conda`: python and pip from conda-forge, everything
# else at the pins of requirements.lock by pip. Made by `make lock`; do not edit by hand.
name: chameleon-mixing-bench
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins(freeze: str) -> list[str]:
    """Return sorted `name==version` lines from the output of `pip freeze`.

    A local version label (torch's `+cpu`) is dropped: which build fits is the installing machine's business.

    Raises:
        ValueError: a line that is no plain pin (an editable or a URL).
    """
    found = []
    for line in filter(None, map(str.strip, freeze.splitlines())):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)(\+[a-z0-9.]+)?", line)
        if match is None:
            raise ValueError(f"pip freeze: {line!r} is not NAME==VERSION")
        if not SKIPPED.match(line):
            found.append(f"{match[1]}=={match[2]}")
    return sorted(found, key=str.lower)


def main() -> None:
    """Read standard input, write both files."""
    lines = pins(sys.stdin.read())
    (ROOT / "requirements.lock").write_text(LOCK_HEADER + "".join(f"{p}\n" for p in lines), encoding="utf-8")
    body = "".join(f"      - {p}\n" for p in lines)
    (ROOT / "envs" / "suite.yaml").write_text(ENV_HEADER + body, encoding="utf-8")
    print(f"requirements.lock, envs/suite.yaml: {len(lines)} packages")


if __name__ == "__main__":
    main()
