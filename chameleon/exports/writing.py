"""`export`: a mixture into a trainer's files, with a README.txt and an export.json of what was asked for.

Files are written atomically and export.json last: where it stands, the export is complete.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.artifacts import read_json, write_json, write_text
from chameleon.core.errors import UserError, choices, shown
from chameleon.exports import documents, megatron, staged, streams, tables
from chameleon.exports.caps import length_of, tokens_of
from chameleon.exports.plan import Format, Plan, Stage
from chameleon.exports.preparing import prepare
from chameleon.exports.texts import one_line, plain, table
from chameleon.mixture import Domain, Mixture

#: What `--to` takes.
FORMATS: dict[str, Format] = {
    form.name: form
    for family in (megatron, staged, streams, documents, tables)
    for form in family.FORMATS  # type: ignore[attr-defined]
}
FACTS = ("paths", "tokens", "documents", "tokens_per_document")


@dataclass(frozen=True)
class Exported:
    """A written export: its folder, its files, and the lines that say what it is."""

    out: Path
    paths: tuple[Path, ...]
    plan: Plan
    lines: tuple[str, ...]


def get(name: str) -> Format:
    """Return a trainer's format.

    Raises:
        UserError: no such trainer.
    """
    if name not in FORMATS:
        raise UserError(f"--to: {choices(name, FORMATS)}")
    return FORMATS[name]


def export(
    mixture: Mixture | str | Path,
    to: str,
    out: str | Path | None = None,
    *,
    data: str | Path | Mapping[str, Mapping[str, Any]] | None = None,
    budget: float | None = None,
    max_epochs: float | None = None,
    steps: int | None = None,
    decimals: int | None = None,
) -> Exported:
    """Write a mixture as a trainer's files.

    Args:
        mixture: or the path of its file.
        to: the trainer, a key of FORMATS.
        out: folder; None: `export-TRAINER`.
        data: more that is known of the domains, {domain: {paths, tokens, documents, tokens_per_document}}, or
            a YAML or JSON file of that.
        budget: tokens of the run.
        max_epochs: that no domain may exceed.
        steps: of the run, for a mixture that moves.
        decimals: of the printed weights.

    Raises:
        UserError: see `prepare`; an unknown trainer, a file that cannot be read, a fact that makes no sense.
    """
    form = get(to)
    mixture = mixture if isinstance(mixture, Mixture) else Mixture.load(mixture)
    if data is not None:
        mixture = _knowing(mixture, data)
    plan = prepare(mixture, form, budget=budget, max_epochs=max_epochs, steps=steps, decimals=decimals)
    _check_keys(plan, form)
    out = Path(f"export-{to}" if out is None else out)
    texts = form.write(plan)
    use = form.use.replace("{out}", shlex.quote(str(out)))
    lines = (
        f"{to}: {', '.join(texts)} in {out}",
        *told(plan),
        *(one_line(note) for note in plan.notes),
        f"use: {use}",
    )
    # An older export in this folder is not complete any more as soon as the first file is replaced.
    (out / "export.json").unlink(missing_ok=True)
    for name, text in {**texts, "README.txt": "\n".join(lines) + "\n"}.items():
        write_text(out / name, text)
    write_json(out / "export.json", _manifest(plan, form, list(texts)), "export", sort_keys=False)
    return Exported(out, tuple(out / name for name in (*texts, "README.txt", "export.json")), plan, lines)


def _check_keys(plan: Plan, form: Format) -> None:
    """Refuse a path that two entries read: nobody could tell their weights apart.

    Raises:
        UserError: there is one.
    """
    for stage in plan.stages:
        keys = [getattr(entry, form.key) for entry in stage.entries]
        if twice := [key for key in keys if keys.count(key) > 1]:
            owners = dict.fromkeys(e.domain for e in stage.entries if getattr(e, form.key) == twice[0])
            raise UserError(f"paths: {twice[0]!r} is given twice, of {', '.join(owners)}")


def _manifest(plan: Plan, form: Format, files: list[str]) -> dict[str, Any]:
    """Return the content of export.json."""
    lengths = {d: length_of(plan.about.get(d, Domain())) for stage in plan.stages for d in stage.requested}
    return {
        "format": 1,
        "trainer": plan.trainer,
        "unit": plan.unit,
        "files": files,
        "decimals": plan.decimals,
        "budget": plan.budget,
        "steps": plan.steps,
        "stages": [
            {
                "start_step": stage.start_step,
                "requested": stage.requested,
                "entries": [{"domain": e.domain, "key": getattr(e, form.key)} for e in stage.entries],
            }
            for stage in plan.stages
        ],
        "tokens_per_document": {d: length for d, length in lengths.items() if length},
    }


def told(plan: Plan) -> list[str]:
    """Return the tables of domains: token share, weight as printed, tokens, epochs."""
    lines: list[str] = []
    for stage in plan.stages:
        if len(plan.stages) > 1:
            lines.append(f"from step {stage.start_step}:")
        lines += table(
            [("domain", "token share", f"weight ({plan.unit})", "tokens", "epochs"), *_rows(plan, stage)]
        )
    return lines


def _rows(plan: Plan, stage: Stage) -> Iterator[tuple[str, ...]]:
    for domain, share in stage.requested.items():
        weights = [e.weight for e in stage.entries if e.domain == domain]
        tokens, epochs = tokens_of(plan.about.get(domain, Domain())), plan.epochs.get(domain)
        yield (
            one_line(domain),
            f"{share:.6f}",
            plain(sum(weights[1:], start=weights[0])) if weights else "0",
            "-" if tokens is None else f"{tokens:,.0f}",
            "-" if epochs is None else f"{epochs:.3f}",
        )


def _knowing(mixture: Mixture, data: str | Path | Mapping[str, Mapping[str, Any]]) -> Mixture:
    """Return the mixture with more known of its domains.

    Raises:
        UserError: the file cannot be read, or an entry is none.
    """
    where, found = "data", data
    if isinstance(data, str | Path):
        where, path = str(data), Path(data)
        if path.suffix == ".json":
            found = read_json(path)
        else:
            try:
                found = yaml.safe_load(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(found, Mapping):
        raise UserError(f"{where}: {shown(found)} is not {{domain: {{{', '.join(FACTS)}}}}}")
    about = {str(name): _domain(facts, f"{where}: {name}") for name, facts in found.items()}
    try:
        return mixture.knowing(about)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _domain(facts: Any, where: str) -> Domain:
    """Return what is said of a domain."""
    if not isinstance(facts, Mapping):
        raise UserError(f"{where}: {shown(facts)} is not a mapping with keys of {', '.join(FACTS)}")
    known: dict[str, Any] = {}
    for key, value in facts.items():
        if key not in FACTS:
            raise UserError(f"{where}: unknown key {choices(key, FACTS)}")
        if key == "paths":
            paths = [value] if isinstance(value, str) else value
            if not isinstance(paths, list) or not paths or not all(isinstance(p, str) and p for p in paths):
                raise UserError(f"{where}: paths: {shown(value)} is not a path or a list of them")
            known[key] = paths
            continue
        try:  # YAML 1.1 takes 1e9 for a word
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
            raise UserError(f"{where}: {key}: {shown(value)} is not a number above 0")
        known[key] = round(number) if key == "documents" else number
    return Domain(**known)
