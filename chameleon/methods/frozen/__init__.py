"""A swarm of real small runs that ships with the suite, and swarms that users bring, for offline scores.

`slim7.csv` holds mixtures of the seven domains of `slim7` with the validation losses of small models trained
on them, every mixture under three seeds; `slim7.json` says where they come from, and holds one expert per
domain. `benchmarks/frozen_swarm.py` makes both.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chameleon.core.artifacts import read_json
from chameleon.methods.regression.tables import read_swarm
from chameleon.mixing.types import RunResult

HERE = Path(__file__).parent
NAME = "slim7"


@dataclass(frozen=True)
class FrozenSwarm:
    """Mixtures and what models trained on them came to.

    Attributes:
        name: for a reader.
        domains: k names, sorted.
        mixtures: n x k.
        losses: seeds x n x m, validation losses (nats/token): m = k domains, or one target.
        target: of the losses where m is one; empty otherwise.
        tokens: of each domain's train split.
        steps, token_budget: of the base run for which a mixture is looked for.
        experts: one run per domain, by run id; empty where there are none.
    """

    name: str
    domains: tuple[str, ...]
    mixtures: np.ndarray
    losses: np.ndarray
    target: str = ""
    tokens: Mapping[str, int] = field(default_factory=dict)
    steps: int = 0
    token_budget: int = 0
    experts: Mapping[str, RunResult] = field(default_factory=dict)

    def runs(self, seed: int, rows: np.ndarray) -> dict[str, RunResult]:
        """Return one seed's runs of some mixtures by run id, as a method gets them.

        Where a target's loss alone is known, it stands for every domain's: their mean is the target's.
        """
        found = {}
        for row in rows.tolist():
            losses = np.broadcast_to(self.losses[seed, row], len(self.domains)).tolist()
            weights = dict(zip(self.domains, self.mixtures[row].tolist(), strict=True))
            found[f"mix{row:05d}"] = RunResult(weights, dict(zip(self.domains, losses, strict=True)), None)
        return found


def shipped() -> FrozenSwarm:
    """Return the swarm that ships with the suite."""
    about = read_json(HERE / f"{NAME}.json")
    domains, seeds = tuple(about["domains"]), about["seeds"]
    with open(HERE / f"{NAME}.csv", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    names = sorted({row["mixture"] for row in rows})
    at = {(row["mixture"], int(row["seed"])): row for row in rows}
    mixtures = np.array([[float(at[n, seeds[0]][f"weight_{d}"]) for d in domains] for n in names])
    losses = np.array([[[float(at[n, s][f"loss_{d}"]) for d in domains] for n in names] for s in seeds])
    experts = {
        name: RunResult(run["weights"], run["loss"], None, {}, run["blocks"], run["block_tokens"])
        for name, run in about["experts"].items()
    }
    base = about["base"]
    return FrozenSwarm(
        NAME, domains, mixtures, losses, "", about["tokens"], base["steps"], base["token_budget"], experts
    )


def brought(mixtures_file: Path, losses_file: Path, target: str) -> FrozenSwarm:
    """Return a user's swarm: two CSV files as `chameleon regress` takes them, one run per mixture.

    Raises:
        UserError: anything wrong with a file or the target.
    """
    swarm = read_swarm(mixtures_file, losses_file, target)
    order = sorted(range(len(swarm.domains)), key=swarm.domains.__getitem__)
    domains = tuple(swarm.domains[i] for i in order)
    tokens = dict.fromkeys(domains, 1)
    return FrozenSwarm(
        mixtures_file.name,
        domains,
        swarm.mixtures[:, order],
        swarm.losses[None, :, None],
        swarm.target,
        tokens,
    )
