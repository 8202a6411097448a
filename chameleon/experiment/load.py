"""Read configs, lay them over each other, and check what comes out before any job."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.experiment import config_file
from chameleon.experiment.checkpoints import completed
from chameleon.experiment.checks import check_across
from chameleon.experiment.config import Config
from chameleon.experiment.shape import check_shape


def load(raw: Mapping[str, Any], source: str = "config") -> Config:
    """Return the checked config.

    Raises:
        UserError: one line with the file, the key, the value and the valid choices.
    """
    try:
        check_shape(raw)
        cfg = Config(completed(raw), source)
        check_across(cfg)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    return cfg


def load_files(paths: Sequence[str | Path]) -> Config:
    """Return the checked config of several files, each laid over those before it, as Snakemake lays them.

    Mappings are merged, everything else (lists too) is replaced.
    """
    raw: dict[str, Any] = {}
    for path in paths:
        raw = _over(raw, config_file.read(path))
    return load(raw, " + ".join(map(str, paths)))


def load_over(overlays: Sequence[str | Path], base: Path = Path("config.yaml")) -> Config:
    """Return the checked config of files that are laid over the Snakefile's own, as Snakemake does."""
    more = [path for path in overlays if Path(path).resolve() != base.resolve()]
    return load_files([*([base] if base.exists() else []), *more])


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _over(below[key], value) if both else value
    return merged
