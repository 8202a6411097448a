"""Megatron-LM's blends (`weight prefix weight prefix ...`), and NeMo Automodel's file of the same.

A weight is a share of samples; a sample is a sequence of fixed length, so it is a share of tokens. It does
not depend on the sizes of the corpora. A prefix is that of `PREFIX.bin` and `PREFIX.idx`, without an end.
"""

from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError, shown
from chameleon.exports.plan import Entry, Format, Plan
from chameleon.exports.texts import comments, json_text, plain, yaml_text

SPLITS = ("train", "valid", "test")


def _prefix(entry: Entry) -> str:
    """Return an entry's prefix.

    Raises:
        UserError: it holds white space, at which Megatron's file falls apart.
    """
    path = entry.path.removesuffix(".bin").removesuffix(".idx")
    if path.split() != [path]:
        raise UserError(
            f"paths of {entry.domain!r}: {path!r} holds white space, at which Megatron's list splits"
        )
    return path


def _blend(plan: Plan, end: str = "") -> list[str]:
    return [text for e in plan.entries for text in (plain(e.weight), _prefix(e) + end)]


def _megatron(plan: Plan) -> dict[str, str]:
    """Return the list for --data-path, the file of --data-args-path, and the JSON of the splits."""
    blend = _blend(plan)
    lines = [" ".join(blend[i : i + 2]) for i in range(0, len(blend), 2)]
    # Held-out text has prefixes of its own: naming the train text here would validate on it and say nothing.
    splits = {split: _blend(plan, "" if split == "train" else f"_{split}") for split in SPLITS}
    return {
        "data-args.txt": "\n".join(lines) + "\n",
        "data-path.txt": " ".join(blend) + "\n",
        "per-split.json": json_text(splits) + "\n",
    }


def _zipped(blend: list[str], path: Path) -> list[list[tuple[str, float]]]:
    """Return a blend's pairs.

    Raises:
        UserError: one that Megatron would read without weights, or not at all.
    """
    if not blend or len(blend) % 2:
        raise UserError(f"{path}: {len(blend)} words are not pairs of weight and prefix")
    try:
        return [[(blend[i + 1], float(blend[i])) for i in range(0, len(blend), 2)]]
    except ValueError as error:
        raise UserError(f"{path}: a weight is not a number: {error}") from error


def _read_megatron(folder: Path) -> list[list[tuple[str, float]]]:
    splits = read_json(folder / "per-split.json")
    if not isinstance(splits, dict) or set(splits) != set(SPLITS):
        raise UserError(f"{folder / 'per-split.json'}: {shown(splits)} has not the keys {', '.join(SPLITS)}")
    path = folder / "data-args.txt"
    found = _zipped(path.read_text(encoding="utf-8").split(), path)
    for other, words in (
        ("data-path.txt", (folder / "data-path.txt").read_text(encoding="utf-8").split()),
        ("per-split.json", splits["train"]),
    ):
        if _zipped(words, folder / other) != found:
            raise UserError(f"{folder / other}: not the blend of data-args.txt")
    return found


def _automodel(plan: Plan) -> dict[str, str]:
    """Return the zipped list, and the part of the recipe that names it."""
    recipe = {
        "dataset": {
            "_target_": "nemo_automodel.components.datasets.llm.megatron_dataset.MegatronPretraining",
            "paths": "blend.json",
            "split": "99,1,0",
        }
    }
    return {
        "blend.json": json_text(_blend(plan)) + "\n",
        "dataset.yaml": comments(plan.notes) + yaml_text(recipe),
    }


def _read_automodel(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "blend.json"
    found = read_json(path)
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise UserError(f"{path}: {shown(found)} is not a list of words")
    return _zipped(found, path)


FORMATS = (
    Format(
        "megatron",
        "tokens",
        ("data-args.txt", "data-path.txt", "per-split.json"),
        _megatron,
        _read_megatron,
        "--data-args-path {out}/data-args.txt --split 99,1,0 (or --data-path $(cat {out}/data-path.txt), or "
        "--per-split-data-args-path {out}/per-split.json without --split)",
        key="path",
        one_path=True,
        draws="shares",
        notes=("per-split.json: valid and test name PREFIX_valid and PREFIX_test, your held-out shards",),
        shards="*.idx",
    ),
    Format(
        "automodel",
        "tokens",
        ("blend.json", "dataset.yaml"),
        _automodel,
        _read_automodel,
        "merge {out}/dataset.yaml into the recipe; its `paths` is read from the working directory",
        key="path",
        one_path=True,
        draws="shares",
        shards="*.idx",
    ),
)
