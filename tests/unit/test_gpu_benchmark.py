"""benchmarks/gpu.py at toy size on a CPU: every part runs, and says on what."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chameleon.core.provenance import cpu_name

ROOT = Path(__file__).resolve().parents[2]
#: Part -> its forms, in the order of the table.
FORMS = {
    "training": ["toy Trainer", "toy suite"],
    "objectives": ["plain", "doge", "doremi"],
    "swarm": ["one at a time", "a stack of 2"],
    "embeddings": ["official procedure", "suite, fp32"],
}


@pytest.mark.slow
def test_every_part_runs_at_toy_size() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", "--toy"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0 and "warning" not in done.stderr, done.stdout + done.stderr
    head, *parts = done.stdout.split("\n\n")
    assert head.startswith(f"{cpu_name()}; ") and "torch " in head
    assert len(parts) == len(FORMS)
    for (name, forms), part in zip(FORMS.items(), parts, strict=True):
        title, _, *rows = part.splitlines()
        assert title.startswith(name)
        numbers = {row[:28].strip(): [float(n) for n in re.findall(r"[\d.]+", row[28:])] for row in rows}
        assert list(numbers) == forms, part
        assert all(values and min(values) > 0 for values in numbers.values()), part
