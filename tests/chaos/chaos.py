"""`make chaos`: nothing is lost, whatever happens to the workflow while it runs.

An undisturbed run of configs/smoke.yaml (one seed, every method and scenario, states saved every five steps)
says what must come out; then the same run is tormented (`killing`) and put on bad disks (`faults`). Prints
fault, tried, survived. Takes an hour on two cores, half of it without kills.
Run: `make chaos ARGS="--kills 200 --seed 0"`.
"""

import argparse
import sys
import tempfile
from itertools import chain
from pathlib import Path

import faults
from checkout import make_checkout
from killing import Workflow, digests, torment

CONFIG = """
seeds: [0]
states: {steps: 5, minutes: null}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="0: bad disks, files and clocks alone")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows: list[tuple[str, int, int]] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        root = Path(name)
        make_checkout(root)
        (root / "overlay.yaml").write_text(CONFIG, encoding="utf-8")
        workflow = Workflow(root, ("configs/smoke.yaml", "overlay.yaml"), "results/smoke")
        if workflow.start().wait() != 0:
            print((root / "said.log").read_text()[-3000:], file=sys.stderr)
            return 1
        expected = digests(root / workflow.results)
        print(f"undisturbed: {len(expected)} files", flush=True)
        if args.kills:
            tally = torment(workflow, expected, args.kills, args.seed)
            survived = tally.kills if not tally.wrong else 0
            print(f"{tally.passes} runs to the end, {tally.restarts} restarts; kills by stage:")
            print(", ".join(f"{stage} {n}" for stage, n in sorted(tally.stages.items())), flush=True)
            print("wrong or missing at the end:", ", ".join(sorted(set(tally.wrong))) or "nothing", flush=True)
            rows += [(kind, n, n if survived else 0) for kind, n in sorted(tally.signals.items())]
        print(f"\n{'fault':<52} {'tried':>6} {'survived':>9}")
        # Printed as they come: a fault takes minutes.
        for row in chain(rows, faults.all_of(workflow, expected)):
            print(f"{row[0]:<52} {row[1]:>6} {row[2]:>9}", flush=True)
            failed = failed or row[1] != row[2]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
