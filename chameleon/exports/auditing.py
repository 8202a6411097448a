"""`audit`: draw from an exported mixture as its trainer would; hold the tokens against what was asked for.

The weights are read back from the trainer's file, not from what was meant; export.json says which entry
belongs to which domain, and what was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError, shown
from chameleon.exports import consumers
from chameleon.exports.plan import Format
from chameleon.exports.texts import one_line, table
from chameleon.exports.writing import get
from chameleon.mixture import Mixture


@dataclass(frozen=True)
class StageAudit:
    """Token shares of a stage: asked for, and drawn; `chance`: the largest standard deviation of a share."""

    start_step: int
    requested: dict[str, float]
    realised: dict[str, float]
    chance: float

    @property
    def difference(self) -> float:
        """The largest difference of a domain's share."""
        return max(abs(self.realised.get(d, 0.0) - w) for d, w in self.requested.items())


@dataclass(frozen=True)
class Audit:
    """What was drawn, by what, and the lines that say so."""

    stages: tuple[StageAudit, ...]
    by: str
    lines: tuple[str, ...]

    @property
    def difference(self) -> float:
        """The largest difference of any domain's share in any stage."""
        return max(stage.difference for stage in self.stages)


def audit(path: str | Path, *, draws: int = 100_000, seed: int = 0) -> Audit:
    """Return requested and realised token shares of an export's folder, or of a mixture's file.

    Args:
        path: folder that `export` wrote, or what `Mixture.load` takes.
        draws: samples (documents, where the trainer draws those) per stage.
        seed: of the draws.

    Raises:
        UserError: no such export, a file that its trainer would refuse, or an entry that export.json does not
            know.
    """
    if draws < 1:
        raise UserError(f"--draws: {draws!r} is not a whole number above 0")
    path = Path(path)
    if (path / "export.json").exists():
        stages, by, head = _of_export(path, draws, seed)
    elif path.is_dir() and not (path / "mix.json").exists():
        raise UserError(f"{path}: holds no export.json: the folder is no complete export")
    else:
        stages, by, head = _of_mixture(path, draws, seed)
    lines = [f"{head}, {draws:,} draws by {by}"]
    for stage in stages:
        lines += [f"from step {stage.start_step}:"] if len(stages) > 1 else []
        lines += table([("domain", "requested", "realised", "difference"), *_rows(stage)])
    difference, chance = (max(getattr(s, name) for s in stages) for name in ("difference", "chance"))
    beside = f"; chance alone gives {chance:.6f} (one standard deviation)" if chance else ""
    lines.append(f"max difference: {difference:.6f}{beside}")
    return Audit(tuple(stages), by, tuple(lines))


def _rows(stage: StageAudit) -> Iterator[tuple[str, ...]]:
    for domain, share in stage.requested.items():
        drawn = stage.realised.get(domain, 0.0)
        yield one_line(domain), f"{share:.6f}", f"{drawn:.6f}", f"{drawn - share:+.6f}"


def _of_mixture(path: Path, draws: int, seed: int) -> tuple[list[StageAudit], str, str]:
    mixture = Mixture.load(path)
    found = []
    for stage in mixture.schedule.stages:
        counts = consumers.random(list(stage.weights.values()), draws, seed)
        realised = dict(zip(stage.weights, (counts / draws).tolist(), strict=True))
        chance = _chance(list(stage.weights.values()), [1.0] * len(stage.weights), draws)
        found.append(StageAudit(stage.start_step, dict(stage.weights), realised, chance))
    return found, "our own draw", f"{path}: shares of tokens"


def _of_export(folder: Path, draws: int, seed: int) -> tuple[list[StageAudit], str, str]:
    told = read_json(folder / "export.json", "export")
    form = get(told["trainer"])
    try:
        read = form.read(folder)
    except (OSError, yaml.YAMLError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: not what {form.name} reads: {type(error).__name__}: {error}") from error
    if len(read) != len(told["stages"]):
        raise UserError(
            f"{folder}: {form.files[0]} has {len(read)} stages, export.json {len(told['stages'])}"
        )
    found, by = [], ""
    for stage, pairs in zip(told["stages"], read, strict=True):
        owner = {entry["key"]: entry["domain"] for entry in stage["entries"]}
        if odd := [key for key, _ in pairs if key not in owner]:
            raise UserError(f"{folder}: {form.files[0]} names {odd[0]!r}, which export.json does not know")
        weights = [weight for _, weight in pairs]
        if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
            raise UserError(f"{folder}: {form.files[0]}: {shown(weights)} are not weights of 0 or more")
        counts, by = _draw(form, folder, weights, draws, seed)
        mean = told["tokens_per_document"] if form.unit == "documents" else {}
        lengths = [mean.get(owner[key], 1.0) for key, _ in pairs]
        tokens = dict.fromkeys(stage["requested"], 0.0)
        for (key, _), count, length in zip(pairs, counts.tolist(), lengths, strict=True):
            tokens[owner[key]] += count * length
        total = sum(tokens.values())
        chance = _chance(weights, lengths, draws) if form.draws == "random" else 0.0
        realised = {d: n / total for d, n in tokens.items()}
        found.append(StageAudit(stage["start_step"], stage["requested"], realised, chance))
    return found, by, f"{folder}: {form.name}, {form.unit if form.unit == 'documents' else 'sequences'}"


def _chance(weights: list[float], lengths: list[float], draws: int) -> float:
    """Return the largest standard deviation of an entry's share of the tokens (to first order)."""
    p, tokens = np.asarray(weights) / np.sum(weights), np.asarray(lengths)
    shares = p * tokens / (p @ tokens)
    # A draw of i moves share j by length_i · (δ_ij − share_j) / (draws · mean length).
    spread = (p * tokens**2) @ (np.eye(len(p)) - shares) ** 2
    return float(np.sqrt(spread.max() / draws) / (p @ tokens))


def _draw(form: Format, folder: Path, weights: list[float], draws: int, seed: int) -> tuple[np.ndarray, str]:
    if form.draws != "blocks":
        return consumers.draw(form.name, form.draws, weights, draws, seed)
    size = yaml.safe_load((folder / form.files[0]).read_text(encoding="utf-8"))["data"]["mixture_block_size"]
    return consumers.blocks(weights, draws, size), f"blocks of {size} sequences, as levanter's"
