"""Atomic, schema-checked files: a file's existence means that it is complete.

Everything the stages hand to each other goes through here. Text is byte-stable: sorted keys, fixed
separators, a final newline, no NaN.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chameleon.core import strict_json
from chameleon.core.errors import UserError

if TYPE_CHECKING:
    import jsonschema


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; rename it to `path` if the block succeeds.

    Raises:
        UserError: the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise UserError(f"{path}: cannot write here: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; artefacts are shared between users of a cluster.
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def dumps(value: Any, sort_keys: bool = True) -> str:
    """Return byte-stable, human-readable JSON.

    Raises:
        ValueError: `value` holds a NaN or an infinity.
    """
    return json.dumps(value, indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any, schema: str | None = None, sort_keys: bool = True) -> None:
    """Write `value` as byte-stable JSON, after checking it against `chameleon/core/schemas/<schema>.json`."""
    if schema is not None:
        check(value, schema, str(path))
    write_text(path, dumps(value, sort_keys))


def read_json(path: str | Path, schema: str | None = None) -> Any:
    """Read a JSON file, checked against `schema` when one is named.

    Raises:
        UserError: the file is missing or cannot be read, is no JSON (read strictly), or breaks the schema.
    """
    try:
        value = strict_json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if schema is not None:
        check(value, schema, str(path))
    return value


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema `chameleon/core/schemas/<name>.json`."""
    return json.loads((files("chameleon.core") / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def explain(error: "jsonschema.ValidationError") -> str:
    """Return one line for a schema error: the dotted key, the value, and what is allowed there."""
    key = ".".join(str(p) for p in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        return f"{key}: unknown key {', '.join(map(repr, unknown))}; valid keys: {', '.join(known)}"
    if error.validator == "enum":
        return f"{key}: {error.instance!r} is not one of {', '.join(map(str, error.validator_value))}"
    if error.validator in ("oneOf", "anyOf") and error.context:
        deepest = max(error.context, key=lambda e: len(e.absolute_path))
        return f"{key}: {deepest.message}"
    return f"{key}: {error.message}"


def check(value: Any, schema: str, where: str) -> None:
    """Check `value` against `chameleon/core/schemas/<schema>.json`.

    Without jsonschema, on a machine that jobs were carried to, it passes: `chameleon merge` checks at home.

    Raises:
        UserError: one line naming `where`, the key, the value and the valid choices.
    """
    try:
        import jsonschema
    except ImportError:
        return
    validator = jsonschema.Draft202012Validator(load_schema(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        raise UserError(f"{where}: {explain(error)}")


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 (hex) of a value's canonical JSON: equal values, equal fingerprints."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_csv(path: str | Path, frame: Any) -> None:
    """Write a pandas DataFrame byte-stably: no index, `\\n` line ends, 17 significant digits at most."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
