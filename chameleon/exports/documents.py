"""Trainers that draw documents: Hugging Face datasets, TRL, LLaMA-Factory.

A weight is the probability (TRL: the share) of a document of the domain. Long documents bring more tokens
each, so the file's weights are not the mixture's; the notes say which are which.
"""

from pathlib import Path
from typing import Any

import yaml

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError, shown
from chameleon.exports.plan import Entry, Format, Plan
from chameleon.exports.texts import comments, json_text, one_line, plain, yaml_text
from chameleon.mixture import Domain

#: Builder of `datasets` by the end of a file's name, past a compression's.
BUILDERS = {
    "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet", "csv": "csv", "txt": "text",
    "arrow": "arrow",
}  # fmt: skip
COMPRESSED = {".gz", ".zst", ".bz2", ".xz"}


def source(entry: Entry) -> dict[str, Any]:
    """Return what `load_dataset` takes for a domain: files of one kind, or the name of a folder or hub set.

    Raises:
        UserError: files of several kinds.
    """
    ends = [[end for end in Path(path).suffixes if end not in COMPRESSED] for path in entry.paths]
    kinds = {BUILDERS.get(end[-1][1:].lower()) if end else None for end in ends}
    if kinds == {None} and len(entry.paths) == 1:
        return {"path": entry.path}
    if len(kinds) > 1 or None in kinds:
        raise UserError(
            f"paths of {entry.domain!r}: {shown(list(entry.paths))} are not files of one kind; "
            f"valid: {', '.join(BUILDERS)}"
        )
    return {"path": kinds.pop(), "data_files": list(entry.paths)}


LOADER = '''
import json
from pathlib import Path

from datasets import interleave_datasets, load_dataset

TEXT = "text"

def dataset(seed=0, folder=Path(__file__).parent):
    """Return the mixture as a stream without end: sources are repeated, so no probability ever shifts."""
    told = json.loads((folder / "mixture.json").read_text(encoding="utf-8"))["datasets"]
    parts = [
        load_dataset(d["path"], data_files=d.get("data_files"), split="train", streaming=True).repeat(None)
        for d in told
    ]
    parts = [part.select_columns([TEXT]) for part in parts]
    probabilities = [d["probability"] for d in told]
    return interleave_datasets(parts, probabilities, seed=seed, stopping_strategy="first_exhausted")
'''


def _datasets(plan: Plan) -> dict[str, str]:
    """Return probabilities with what to load, and a script that interleaves it."""
    rows = [{"name": e.name, "probability": e.weight, **source(e)} for e in plan.entries]
    told = {"unit": plan.unit, "notes": [one_line(note) for note in plan.notes], "datasets": rows}
    return {"mixture.json": json_text(told) + "\n", "load.py": comments(plan.notes) + LOADER}


def _read_datasets(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "mixture.json"
    found = read_json(path)
    rows = found.get("datasets") if isinstance(found, dict) else None
    try:
        pairs = [(row["name"], float(row["probability"])) for row in rows or []]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: datasets: a row has no name or no probability ({error})") from error
    if abs(sum(weight for _, weight in pairs) - 1) > 1e-8:
        raise UserError(f"{path}: datasets: the probabilities do not sum to 1")
    return [pairs]


def _rows_kept(plan: Plan) -> list[str]:
    """Return how many rows TRL will keep, where the domains' documents are known."""
    counts = [plan.about.get(e.domain, Domain()).documents for e in plan.entries]
    if any(count is None for count in counts):
        return []
    sizes = [(count or 0) / float(e.weight) for e, count in zip(plan.entries, counts, strict=True)]
    first = plan.entries[sizes.index(min(sizes))]
    every = sum(count or 0 for count in counts)
    return [f"TRL keeps {min(sizes):,.0f} of {every:,} documents: {first.domain} runs out first"]


def _trl(plan: Plan) -> dict[str, str]:
    rows = [{**source(e), "split": "train", "fraction": e.weight} for e in plan.entries]
    # A row has no name of its own: without a comment nobody knows whose it is.
    lines = [*plan.notes, *_rows_kept(plan), f"in this order: {', '.join(e.name for e in plan.entries)}"]
    return {"mixture.yaml": comments(lines) + yaml_text({"datasets": rows, "streaming": False})}


def _read_trl(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "mixture.yaml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = found.get("datasets") if isinstance(found, dict) else None
    if not isinstance(rows, list) or any(not isinstance(row.get("fraction"), float) for row in rows):
        raise UserError(f"{path}: datasets: every row needs a fraction")
    if found.get("streaming"):
        raise UserError(f"{path}: streaming: fractions do not go with it")
    return [[("+".join(row.get("data_files") or [row["path"]]), row["fraction"]) for row in rows]]


def _local(path: str) -> str:
    """Return a path that does not depend on the folder of dataset_info.json."""
    return path if "://" in path else str(Path(path).absolute())


def _llama_factory(plan: Plan) -> dict[str, str]:
    """Return dataset_info.json and the arguments; names are letters, digits and `_`: commas separate them."""
    info = {
        e.slug: {"file_name": _local(e.path), "formatting": "alpaca", "columns": {"prompt": "text"}}
        for e in plan.entries
    }
    arguments = {
        "stage": "pt",
        "dataset_dir": ".",
        "dataset": ",".join(e.slug for e in plan.entries),
        # Sources that run out are repeated, so that the probabilities hold to the end; as a stream, since
        # otherwise the rows of max_j (documents_j / probability_j) draws would be written out first.
        "mix_strategy": "interleave_over",
        "interleave_probs": ",".join(plain(e.weight) for e in plan.entries),
        "streaming": True,
        # A stream has as many shards as workers; of none it would be empty.
        "dataloader_num_workers": 1,
    }
    renamed = [f"{e.slug} is {e.name}" for e in plan.entries if e.slug != e.name]
    lines = [*plan.notes, *renamed]
    return {"dataset_info.json": json_text(info) + "\n", "train.yaml": comments(lines) + yaml_text(arguments)}


def _read_llama_factory(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "train.yaml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    info = read_json(folder / "dataset_info.json")
    names, weights = (
        str(found.get("dataset", "")).split(","),
        str(found.get("interleave_probs", "")).split(","),
    )
    if found.get("mix_strategy") not in ("interleave_under", "interleave_over", "interleave_once"):
        raise UserError(f"{path}: mix_strategy: {shown(found.get('mix_strategy'))} takes no interleave_probs")
    if len(names) != len(weights):
        raise UserError(f"{path}: {len(names)} names in dataset, {len(weights)} in interleave_probs")
    if odd := [name for name in names if name not in info]:
        raise UserError(f"{path}: dataset: {odd[0]!r} is not in dataset_info.json")
    try:
        return [[(name, float(weight)) for name, weight in zip(names, weights, strict=True)]]
    except ValueError as error:
        raise UserError(f"{path}: interleave_probs: {error}") from error


FORMATS = (
    Format(
        "datasets",
        "documents",
        ("mixture.json", "load.py"),
        _datasets,
        _read_datasets,
        "from load import dataset ({out}/load.py; TEXT names the column)",
    ),
    Format(
        "trl",
        "documents",
        ("mixture.yaml",),
        _trl,
        _read_trl,
        "trl sft --config {out}/mixture.yaml, beside your other arguments",
        key="files",
        draws="shares",
        notes=("TRL cuts every source so that none is repeated: the scarcest sets the size of the whole",),
    ),
    Format(
        "llama-factory",
        "documents",
        ("dataset_info.json", "train.yaml"),
        _llama_factory,
        _read_llama_factory,
        "llamafactory-cli train, with the arguments of {out}/train.yaml and dataset_dir: {out}",
        key="slug",
        one_path=True,
        notes=("a stream that repeats what runs out (interleave_over): set max_steps, and not max_samples",),
    ),
)
