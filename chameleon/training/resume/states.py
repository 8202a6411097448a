"""The whole state of a run on disk, so that a run that was cut off goes on where it was.

A state is one file `step{n}-{digest}.safetensors`: tensors, and everything else as JSON in its header. The
digest of the bytes stands in the name, so a file that was truncated or changed gives itself away. Written
under another name and renamed; the last two are kept; the folder lies beside the run's declared outputs,
which Snakemake removes when a job was cut off.
"""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from chameleon.core.artifacts import fingerprint, sha256_file
from chameleon.core.errors import UserError
from chameleon.core.tensors import write_tensors
from chameleon.training.distributed.ranks import here

#: Layout of a state: one of another number is not read.
FORMAT = 2
#: States kept: if the newest is damaged, the one before it serves.
KEPT = 2
_NAME = re.compile(r"step(\d+)-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class Every:
    """How often a run is saved: after so many steps, or so many seconds; None: not for this reason."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Every":
        """Return what `5min`, `100steps`, both with a comma between them, or `never` means.

        Raises:
            UserError: anything else.
        """
        found: dict[str, Any] = {}
        for part in text.split(",") if text != "never" else ():
            match = re.fullmatch(r"(\d+(?:\.\d+)?)min|([1-9]\d*)steps", part.strip())
            if match is None:
                raise UserError(f"--states: {text!r} is not like 5min, 100steps, 5min,100steps or never")
            found |= {"seconds": 60 * float(match[1])} if match[1] else {"steps": int(match[2])}
        return cls(**found)


@dataclass
class States:
    """States of one run.

    Args:
        folder: holds nothing else.
        identity: what the run is (spec, digests of its inputs): a state of another run is not read.
        every: how often to save.
    """

    folder: Path
    identity: Any
    every: Every
    _last: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.key = fingerprint([FORMAT, torch.__version__, self.identity])

    def due(self, step: int) -> bool:
        """Return whether it is time to save after `step` steps."""
        by_steps = self.every.steps is not None and step % self.every.steps == 0
        by_time = self.every.seconds is not None and time.monotonic() - self._last >= self.every.seconds
        return by_steps or by_time

    def save(self, step: int, value: Mapping[str, Any]) -> Path | None:
        """Write a state and drop all but the last KEPT; where the disk refuses, say so and go on without."""
        self._last = time.monotonic()
        try:
            return self._write(step, value)
        except OSError as error:
            print(f"warning: {self.folder}: state not saved: {error.strerror}", file=sys.stderr, flush=True)
            return None

    def _write(self, step: int, value: Mapping[str, Any]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        packed = _pack(dict(value), tensors, "")
        header = {"state": json.dumps(packed, allow_nan=True), "key": self.key, "format": str(FORMAT)}
        temporary = self.folder / f".{os.getpid()}.tmp"
        try:
            write_tensors(tensors, temporary, header)
            path = self.folder / f"step{step:09d}-{sha256_file(temporary)[:16]}.safetensors"
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        for _, old in self._found()[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """Return step and value of the newest state that can be used; say of each other one why it cannot.

        Raises:
            UserError: the processes of a job see different states.
        """
        found = self._newest()
        step = found and found[0]
        if here().agreed(step) != step:
            raise UserError(f"{self.folder}: must be one folder for all processes of a job")
        return found

    def _newest(self) -> tuple[int, dict[str, Any]] | None:
        for half in self.folder.glob(".*.tmp"):
            half.unlink(missing_ok=True)
        for step, path in self._found():
            try:
                return step, self._read(path)
            except _Unusable as error:
                print(f"warning: {path}: {error}; not used", file=sys.stderr, flush=True)
        return None

    def clear(self) -> None:
        """Remove all states: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> list[tuple[int, Path]]:
        names = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [(int(m[1]), path) for path in names if (m := _NAME.fullmatch(path.name))]
        # Of two states of one step (an earlier one damaged, written again) the younger first.
        return sorted(found, key=lambda pair: (pair[0], pair[1].stat().st_mtime_ns), reverse=True)

    def _read(self, path: Path) -> dict[str, Any]:
        match = _NAME.fullmatch(path.name)
        assert match is not None
        if sha256_file(path)[:16] != match[2]:
            raise _Unusable("its bytes are not those that were written")
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
                if header.get("format") != str(FORMAT) or header.get("key") != self.key:
                    raise _Unusable("a state of another run, version or input")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise _Unusable(f"cannot be read ({error})") from error
        value: dict[str, Any] = _unpack(json.loads(header["state"]), tensors)
        return value


class _Unusable(Exception):
    """Why a state is not used."""


def _pack(value: Any, tensors: dict[str, Tensor], at: str) -> Any:
    """Return `value` as JSON, with its tensors and arrays moved into `tensors`."""
    if isinstance(value, Tensor | np.ndarray):
        name = f"{at}#{len(tensors)}"
        tensor = torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value.detach()
        tensor = tensor.to("cpu").contiguous()
        # safetensors refuses tensors that share memory: a view gets its own.
        whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        tensors[name] = tensor if whole else tensor.clone()
        return {"__array__" if isinstance(value, np.ndarray) else "__tensor__": name}
    if isinstance(value, Mapping):
        pairs = [[_pack(k, tensors, at), _pack(v, tensors, f"{at}/{k}")] for k, v in value.items()]
        return {"__pairs__": pairs}
    if isinstance(value, list | tuple):
        return [_pack(v, tensors, f"{at}/{i}") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "__pairs__" in value:
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in value["__pairs__"]}
    if "__array__" in value:
        return tensors[value["__array__"]].numpy().copy()
    return tensors[value["__tensor__"]]


@dataclass
class Carried:
    """Something of a job's that is part of its state: how it is read off, and how it is set again."""

    state: Callable[[], Any]
    restore: Callable[[Any], None]
