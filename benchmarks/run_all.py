"""Run every benchmark and put its table into docs/PERFORMANCE.md, below the mark that names the script.

Run: `make bench`. A script that prints nothing leaves its table as it was; so does one that fails, and the
exit status says so.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "PERFORMANCE.md"
SCRIPTS = ("training", "jobs_and_threads", "startup", "swarm", "doge_step", "embedding", "krls",
           "corpora", "states", "memory", "default_run", "growth")  # fmt: skip


def main() -> int:
    failed = []
    for name in sys.argv[1:] or SCRIPTS:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        command = [sys.executable, str(HERE / f"{name}.py")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line.rstrip())
        print(f"-- {time.monotonic() - start:.0f} s", flush=True)
        if process.returncode:
            failed.append(name)
            continue
        table = "\n".join(lines).strip()
        if not table:
            continue
        page = PAGE.read_text(encoding="utf-8")
        marked = re.compile(rf"(<!-- {name} -->\n)```.*?```", re.DOTALL)
        if not marked.search(page):
            raise SystemExit(f"{PAGE}: no block marked <!-- {name} -->")
        block = f"```\n{table}\n```"
        PAGE.write_text(marked.sub(lambda found: found[1] + block, page), encoding="utf-8")  # noqa: B023
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
