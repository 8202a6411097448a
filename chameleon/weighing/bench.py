"""From mixtures to a benchmark: a config that trains on theirs and on every method's, on one's own text."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.artifacts import write_text
from chameleon.core.errors import UserError
from chameleon.data.corpora.base import unfit
from chameleon.data.corpora.files import folder
from chameleon.experiment.load import load_files
from chameleon.mixture import Mixture


def bench(
    data: str | Path,
    out: str | Path,
    mixes: Sequence[str | Path] = (),
    text_field: str = "text",
    base: str | Path = "config.yaml",
) -> list[str]:
    """Write a config, to be laid over the default one, that compares mixtures with all methods on one's text.

    Args:
        data: folder with a folder of text per domain.
        out: the config to write (.yaml); results go to `results/<its name>`.
        mixes: mixtures of these domains (mix.json, a folder with one, a weights file or {domain: weight}).
        text_field: where rows hold their text.
        base: the config that it is laid over.

    Returns:
        The two commands that go on: what it will cost, and the run.

    Raises:
        UserError: no folders of text, a mixture of other domains, or a config that would be refused.
    """
    root, out = Path(data), Path(out)
    if not root.is_dir():
        raise UserError(f"--data: no such folder: {str(data)!r}")
    folders, _ = folder.domain_folders(root)
    if not folders:
        raise UserError(f"--data: {data}: no folder in it; a domain is a folder")
    names = _names(folders)
    methods, params = list[str](), dict[str, Any]()
    for path in mixes:
        label = _label(Path(path), methods)
        params[label] = {"method": "fixed", **_fixed(path, names)}
        methods.append(label)
    base_config = load_files([Path(base)])
    given = list(base_config.methods("pretrain"))
    corpus: dict[str, Any] = {"kind": "local", "path": str(root), "text_field": text_field}
    if any(name != own for name, own in names.items()):
        corpus["domains"] = {name: own for own, name in names.items()}
    name = re.sub(r"\W", "_", out.stem)
    config = {
        "results_dir": f"results/{name}",
        "run": ["pretrain"],
        "corpora": {"mine": corpus},
        "scenarios": {"pretrain": {"corpora": ["mine"], "methods": [given[0], *methods, *given[1:]]}},
        "method_params": params,
        "sensitivity": None,
    }
    text = "# Made by `chameleon bench`: your domains and mixtures beside every method of config.yaml.\n"
    text += yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    temporary = out.with_name(f".{out.name}.checked.yaml")
    write_text(temporary, text)
    try:
        load_files([Path(base), temporary])
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return [
        f"chameleon plan --configfile {out}",
        f"make reproduce CONFIG={out} REPORT=results/{name}/report.html",
    ]


def _names(folders: Sequence[str]) -> dict[str, str]:
    """Return folder -> name of the domain, which must be fit to name files."""
    names: dict[str, str] = {}
    for own in folders:
        plain = own if not unfit(own) else re.sub(r"\W", "_", own)
        plain = plain if plain.isidentifier() else f"d{plain}"
        while plain in names.values():
            plain += "_"
        names[own] = plain
    return names


def _label(path: Path, taken: Sequence[str]) -> str:
    """Return what a mixture is called among the methods: its file's name, or its folder's."""
    stem = path.parent.name if path.name == "mix.json" else path.stem
    label = re.sub(r"\W", "_", stem or "mix")
    label = label if label.isidentifier() else f"m{label}"
    # No method's own name.
    label = label if label == "mix" else f"mix_{label}"
    while label in taken:
        label += "_"
    return label


def _fixed(path: str | Path, names: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of method `fixed` for a mixture."""
    file = Path(path) / "mix.json" if Path(path).is_dir() else Path(path)
    mixture = Mixture.load(file)
    if odd := sorted(set(mixture.domains) ^ set(names)):
        where = "the mixture" if odd[0] in mixture.domains else "the folders"
        raise UserError(f"{file}: {json.dumps(odd[0])} is only in {where}; weigh the same folders")
    if not mixture.static:
        raise UserError(
            f"{file}: has {len(mixture.schedule.stages)} stages; the benchmark's fixed mixtures are static"
        )
    rename = {name: own for own, name in names.items() if own != name}
    return {"file": str(file)} | ({"rename": rename} if rename else {})
