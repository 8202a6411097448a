"""From a mixture to the plan of its export.

Settles what a trainer's file cannot say: which unit its weights have, what a moving mixture becomes, what a
budget means for each domain, and to how many decimals the shares are printed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from chameleon.core.errors import UserError
from chameleon.exports import caps
from chameleon.exports.plan import Entry, Format, Plan, Stage
from chameleon.exports.texts import rounded, slugs
from chameleon.mixture import Domain, Mixture
from chameleon.mixture.epochs import epochs as epochs_over

#: Decimals of the printed shares: at least, and at most.
LEAST, MOST = 6, 12


def prepare(
    mixture: Mixture,
    form: Format,
    *,
    budget: float | None = None,
    max_epochs: float | None = None,
    steps: int | None = None,
    decimals: int | None = None,
) -> Plan:
    """Return the plan of an export.

    Args:
        mixture: with what is known of its domains.
        form: of the trainer.
        budget: tokens of the run.
        max_epochs: that no domain may exceed; needs a budget.
        steps: of the run; needed where a moving mixture is averaged.
        decimals: of the printed weights, 1 to 12; None: 6, or more where the smallest needs them.

    Raises:
        UserError: options that do not fit, a cap that cannot be kept, lengths or tokens that are not known.
    """
    _check(budget, max_epochs, steps, decimals)
    notes: list[str] = []
    stages, mean = _stages(mixture, form, steps, notes)
    floored: list[str] = []
    if budget is not None:
        if mean is None:
            raise UserError(
                "--budget: the mixture moves; give --steps, the length of the run, for the epochs of it"
            )
        if max_epochs is not None:
            stages, mean, floored = _capped(mixture, stages, mean, budget, max_epochs, notes)
    epochs = {} if budget is None or mean is None else epochs_over(mean, mixture.about, budget)
    notes += _told(form, epochs, budget)
    weighed = [(start, shares, _in_unit(shares, form, mixture)) for start, shares in stages]
    split = {d: _parts(mixture.domain(d), d, form, notes) for _, shares, _ in weighed for d in shares}
    smallest = min(
        weight * part
        for _, _, weights in weighed
        for d, weight in weights.items()
        for _, part in split[d]
        if part > 0
    )
    fit = max(LEAST, min(MOST, math.ceil(-math.log10(smallest)) + 1)) if decimals is None else decimals
    notes.append(f"weights have {fit} decimals and sum to exactly 1 as printed")
    down = set(floored) if form.unit == "tokens" else set()
    planned = tuple(
        Stage(start, _entries(weights, split, fit, down, notes), shares) for start, shares, weights in weighed
    )
    unique = tuple(dict.fromkeys((*notes, *form.notes)))
    return Plan(form.name, form.unit, planned, mixture.about, fit, budget, epochs, steps, unique)


def _check(budget: float | None, max_epochs: float | None, steps: int | None, decimals: int | None) -> None:
    for option, value in (("--budget", budget), ("--max-epochs", max_epochs), ("--steps", steps)):
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{option}: {value!r} is not a number above 0")
    if steps is not None and not isinstance(steps, int):
        raise UserError(f"--steps: {steps!r} is not a whole number")
    if decimals is not None and not 1 <= decimals <= MOST:
        raise UserError(f"--decimals: {decimals!r} is not a whole number from 1 to {MOST}")
    if max_epochs is not None and budget is None:
        raise UserError("--max-epochs: needs --budget, the tokens of the run")


def _stages(
    mixture: Mixture, form: Format, steps: int | None, notes: list[str]
) -> tuple[list[tuple[int, dict[str, float]]], dict[str, float] | None]:
    """Return (start step, positive token shares) per stage, and their mean over the run if it is known."""

    def kept(shares: Mapping[str, float]) -> dict[str, float]:
        return {d: w for d, w in shares.items() if w > 0}

    if mixture.static:
        zeros = [d for d, w in mixture.weights.items() if w <= 0]
        if zeros:
            notes.append(f"left out, with weight 0: {', '.join(zeros)}")
        return [(0, kept(mixture.weights))], kept(mixture.weights)
    every = mixture.schedule.stages
    mean = None if steps is None else kept(mixture.average(steps))
    if form.staged:
        reached = [s for s in every if steps is None or s.start_step < steps]
        notes.append(f"the mixture moves: {len(reached)} stages, by step")
        return [(s.start_step, kept(s.weights)) for s in reached], mean
    if mean is None:
        raise UserError(
            f"the mixture moves ({len(every)} stages) and {form.name} takes one set of weights: give "
            "--steps, the length of the run, to export its average"
        )
    notes.append(f"the mixture moves ({len(every)} stages): this is its average over {steps} steps")
    return [(0, mean)], mean


def _capped(
    mixture: Mixture,
    stages: list[tuple[int, dict[str, float]]],
    mean: dict[str, float],
    budget: float,
    most: float,
    notes: list[str],
) -> tuple[list[tuple[int, dict[str, float]]], dict[str, float], list[str]]:
    found, full = caps.capped(mean, mixture.about, budget, most)
    if not full:
        return stages, mean, full
    if len(stages) > 1:
        raise UserError(
            f"--max-epochs {most:g}: {', '.join(full)} would be read more often, and a mixture that moves "
            "cannot be cut: raise it, or export to a trainer that takes the average"
        )
    notes.append(f"held at {most:g} epochs, their rest shared in proportion: {', '.join(full)}")
    return [(0, found)], found, full


def _told(form: Format, epochs: Mapping[str, float | None], budget: float | None) -> list[str]:
    """Return the notes on unit, budget and epochs."""
    notes = [f"unit: a weight is a share of {form.unit}"]
    if form.unit == "documents":
        notes[0] += ", which is token share / mean tokens per document, divided by the sum"
    if budget is None:
        return [*notes, "budget: not told, so epochs are not known (--budget TOKENS)"]
    told = [f"{d} {'?' if e is None else format(e, ',.3f')}" for d, e in epochs.items()]
    notes += [f"budget: {budget:,.0f} tokens", f"epochs: {', '.join(told)}"]
    if often := [d for d, e in epochs.items() if e is not None and e > 1]:
        notes.append(f"read more than once: {', '.join(often)}")
    return notes


def _in_unit(shares: Mapping[str, float], form: Format, mixture: Mixture) -> dict[str, float]:
    """Return shares in the format's unit.

    Raises:
        UserError: it samples documents and the lengths of some domain's are not known.
    """
    if form.unit == "tokens":
        return dict(shares)
    found = document_shares(shares, mixture.about)
    if found is None:
        unknown = [d for d in shares if not caps.length_of(mixture.domain(d))]
        raise UserError(
            f"{form.name} samples documents, and the mean length of {', '.join(unknown)} is not known: give "
            "tokens_per_document (or tokens and documents) for each in --data FILE"
        )
    return found


def document_shares(shares: Mapping[str, float], about: Mapping[str, Domain]) -> dict[str, float] | None:
    """Return w_doc ∝ w_tok / tokens per document; None: some length is not known."""
    lengths = {d: caps.length_of(about.get(d, Domain())) for d in shares}
    raw = {d: w / length for d, w in shares.items() if (length := lengths[d])}
    total = math.fsum(raw.values())
    return {d: w / total for d, w in raw.items()} if len(raw) == len(shares) else None


def _parts(domain: Domain, name: str, form: Format, notes: list[str]) -> list[tuple[tuple[str, ...], float]]:
    """Return what a domain's entries read, and each one's part of its weight."""
    paths = tuple(domain.paths)
    if not paths:
        if form.key == "path" or form.one_path or form.unit == "documents":
            notes.append(f"no paths known of {name}: its name stands in (give `paths` in --data FILE)")
        return [((name,), 1.0)]
    for path in map(Path, paths):
        if form.shards and path.is_dir() and next(path.glob(form.shards), None) is None:
            notes.append(
                f"{name}: no {form.shards} in {path}: name its token shards (`paths` in --data FILE)"
            )
    if not form.one_path or len(paths) == 1:
        return [(paths, 1.0)]
    sizes = [_size(path) for path in paths]
    if all(sizes):
        notes.append(f"{name}: its {len(paths)} paths share its weight by their size on disk")
        return [((path,), size / sum(sizes)) for path, size in zip(paths, sizes, strict=True)]
    notes.append(f"{name}: its {len(paths)} paths share its weight equally (their sizes are not known here)")
    return [((path,), 1 / len(paths)) for path in paths]


def _size(path: str) -> int:
    """Return the bytes of a file, a folder or a shard's prefix (`.bin`); 0: not on this machine."""
    for found in (Path(path), Path(f"{path}.bin")):
        if found.is_file():
            return found.stat().st_size
        if found.is_dir():
            return sum(p.stat().st_size for p in found.rglob("*") if p.is_file())
    return 0


def _entries(
    weights: Mapping[str, float],
    split: Mapping[str, Sequence[tuple[tuple[str, ...], float]]],
    decimals: int,
    floored: set[str],
    notes: list[str],
) -> tuple[Entry, ...]:
    """Return entries with printed weights; what prints as 0 is left out, and said."""
    rows = [
        (d, d if len(split[d]) == 1 else f"{d}_{i}", paths, weight * part)
        for d, weight in weights.items()
        for i, (paths, part) in enumerate(split[d])
    ]
    printed = rounded(
        [row[3] for row in rows], decimals, {i for i, row in enumerate(rows) if row[0] in floored}
    )
    if gone := [row[1] for row, weight in zip(rows, printed, strict=True) if not weight]:
        notes.append(f"left out, with a weight that prints as 0 at {decimals} decimals: {', '.join(gone)}")
    names = [row[1] for row in rows]
    if len(set(names)) < len(names):  # a domain is called like another's second part
        names = [f"{name} ({i})" for i, name in enumerate(names)]
    return tuple(
        Entry(row[0], name, slug, row[2], weight)
        for row, name, slug, weight in zip(rows, names, slugs(names), printed, strict=True)
        if weight
    )
