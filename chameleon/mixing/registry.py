"""The registry of methods: a dict, a decorator, and a scan of the folders that hold methods.

`chameleon/methods/` and `baselines/` are scanned, and the folders named in the environment variable
CHAMELEON_METHOD_PATH (separated like PATH), so that a method needs one file and no reinstallation.
"""

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.mixing.method import Method
from chameleon.mixing.types import KINDS, REQUIREMENTS, SEEN

METHOD_PATH = "CHAMELEON_METHOD_PATH"
_methods: dict[str, Method] = {}
_scanned: set[str] = set()


def register(cls: type[Method]) -> type[Method]:
    """Class decorator: add one instance of a method under its `name`.

    Raises:
        ValueError: no usable name, an unknown requirement, or a name taken by another class.
    """
    method = cls()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", method.name):
        raise ValueError(f"{cls.__module__}.{cls.__name__}: name {method.name!r} must match [a-z][a-z0-9_]*")
    if unknown := sorted(method.requires - REQUIREMENTS):
        raise ValueError(f"method {method.name}: requires {choices(unknown[0], sorted(REQUIREMENTS))}")
    if method.kind not in KINDS:
        raise ValueError(f"method {method.name}: kind: {choices(method.kind, KINDS)}")
    if unknown := [what for what in method.sees if what not in SEEN]:
        raise ValueError(f"method {method.name}: sees: {choices(unknown[0], SEEN)}")
    other = type(_methods.get(method.name, method))
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"method name {method.name!r} is used by {other.__module__} and {cls.__module__}")
    _methods[method.name] = method
    return cls


def _scan() -> None:
    for package in ("chameleon.methods", "baselines"):
        if package not in _scanned:
            _scanned.add(package)
            for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
                # Folders hold the numerics of methods, which may import torch.
                if not info.ispkg:
                    importlib.import_module(f"{package}.{info.name}")
    for folder in filter(None, os.environ.get(METHOD_PATH, "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise UserError(f"{METHOD_PATH}: {folder}: no such folder")
        for file in sorted(Path(folder).glob("*.py")):
            key = str(file.resolve())
            if key in _scanned:
                continue
            # Folders may hold files of one name.
            name = f"chameleon_user_methods_{file.stem}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            _scanned.add(key)


def names() -> list[str]:
    """Return the registered method names, sorted."""
    _scan()
    return sorted(_methods)


def get(name: str) -> Method:
    """Return the method registered as `name`.

    Raises:
        UserError: no such method; the message lists those there are.
    """
    _scan()
    if name not in _methods:
        raise UserError(f"method {choices(name, names())}")
    return _methods[name]


def parameters(name: str, overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a method's defaults overlaid with `overrides`.

    Raises:
        UserError: an override that the method does not know; `where` names the config key.
    """
    defaults = dict(get(name).defaults)
    for key in overrides:
        if key not in defaults:
            raise UserError(f"{where}: unknown parameter {key!r}; method {name} takes: "
                            f"{', '.join(sorted(defaults)) or '(none)'}")  # fmt: skip
    return {**defaults, **overrides}
