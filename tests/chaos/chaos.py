"""`make chaos`: nothing is lost, whatever happens to the workflow while it runs.

An undisturbed run of configs/smoke.yaml (one seed, every scenario, all methods, states saved every five
steps) says what must come out; then the same run is tormented (`killing`). Bad disks and clocks (`faults`)
fall on a part of it, since they strike at files whatever method wrote them. Prints fault, tried, survived.
Takes an hour or two on two cores. Run: `make chaos ARGS="--kills 200 --seed 0"`.
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
sentences: {encoder: tests/data/encoder, windows: 16, window_length: 32}
states: {steps: 5, minutes: null}
"""
#: What configs/smoke.yaml leaves out: with it every registered method is run.
ALL = """
scenarios:
  pretrain:
    methods: [uniform, natural, temperature, unimax, fixed, doremi, doge, in_run_shapley, datamodel,
      regmix, climb,
      mde, data_mixing_law, nested_mixing_law, olmix, mixture_reuse, swarm_best, aioli, aioli_mean,
      odm, ado, rnb, pike,
      chameleon, chameleon_permuted, chameleon_untrained, chameleon_lexical, chameleon_sentence,
      single_domain, utilimax, medu, da2,
      skill_it, mixmin, demix, regmean, duet]
method_params:
  chameleon_sentence: {method: chameleon, embed_with: sentences, ridge: {of_trace: 0.2}}
  nested_mixing_law: {scale: smoke, mixtures: 6, steps: [4, 6, 10]}
  da2: {candidates: 2000}
  medu: {ratings: tests/data/ratings.csv, scale: [1, 5]}
  climb: {rounds: [4, 2], steps: 10, candidates: 2000}
  mixture_reuse: {scale: smoke, steps: 10, kept: [twin_one, twin_two]}
  mde: {candidates: 2000}
  demix: {rounds: [6, 3], steps: 10, candidates: 2000}
  regmean: {rounds: [6, 3], candidates: 2000}
  duet: {initial: 3, iterations: 3, candidates: 1000}
  fixed: {weights: {twin_one: 0.2, twin_two: 0.2, unique: 0.2, blend: 0.2, moby_dick: 0.2}}
"""
PART = """
results_dir: results/part
run: [pretrain]
sensitivity: null
scenarios: {pretrain: {unseen: null, methods: [uniform, doge, aioli, chameleon]}}
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
        (root / "overlay.yaml").write_text(CONFIG + ALL, encoding="utf-8")
        (root / "part.yaml").write_text(CONFIG + PART, encoding="utf-8")
        whole = Workflow(root, ("configs/smoke.yaml", "overlay.yaml"), "results/smoke")
        part = Workflow(root, ("configs/smoke.yaml", "part.yaml"), "results/part")
        expected = {}
        for workflow in (whole, part) if args.kills else (part,):
            if workflow.start().wait() != 0:
                print((root / "said.log").read_text()[-3000:], file=sys.stderr)
                return 1
            expected[workflow] = digests(root / workflow.results)
            print(f"undisturbed: {workflow.results}, {len(expected[workflow])} files", flush=True)
        if args.kills:
            tally = torment(whole, expected[whole], args.kills, args.seed)
            survived = tally.kills if not tally.wrong else 0
            print(f"{tally.passes} runs to the end, {tally.restarts} restarts; kills by stage:")
            print(", ".join(f"{stage} {n}" for stage, n in sorted(tally.stages.items())), flush=True)
            wrong = ", ".join(sorted(set(tally.wrong)))
            print("wrong or missing at the end:", wrong or "nothing", flush=True)
            rows += [(kind, n, n if survived else 0) for kind, n in sorted(tally.signals.items())]
        print(f"\n{'fault':<52} {'tried':>6} {'survived':>9}")
        # Printed as they come: a fault takes minutes.
        for row in chain(rows, faults.all_of(part, expected[part])):
            print(f"{row[0]:<52} {row[1]:>6} {row[2]:>9}", flush=True)
            failed = failed or row[1] != row[2]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
