"""Read configs, lay them over each other, and check what comes out before any job."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import check
from chameleon.core.errors import UserError
from chameleon.experiment.checks import check_across
from chameleon.experiment.config import Config


def load(raw: Mapping[str, Any], source: str = "config") -> Config:
    """Return the checked config.

    Raises:
        UserError: one line with the file, the key, the value and the valid choices.
    """
    check(dict(raw), "config", source)
    cfg = Config(raw, source)
    check_across(cfg)
    return cfg


def load_file(path: str | Path) -> Config:
    """Return the checked config in a YAML file."""
    return load(_read(path), str(path))


def load_files(paths: Sequence[str | Path]) -> Config:
    """Return the checked config of several files, each laid over those before it, as Snakemake lays them.

    Mappings are merged, everything else (lists too) is replaced.
    """
    raw: dict[str, Any] = {}
    for path in paths:
        raw = _over(raw, _read(path))
    return load(raw, " + ".join(map(str, paths)))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _over(below[key], value) if both else value
    return merged


def _read(path: str | Path) -> dict[str, Any]:
    import yaml

    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected a mapping, found {type(raw).__name__}")
    return raw


def check_results_dir(cfg: Config) -> None:
    """Refuse a results folder that cannot be made or written.

    Raises:
        UserError: names the folder that stands in the way.
    """
    existing = Path(cfg.results)
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        why = "is not a folder" if not existing.is_dir() else "cannot be written"
        raise UserError(f"{cfg.source}: results_dir: {cfg.results!r}: {existing} {why}")
