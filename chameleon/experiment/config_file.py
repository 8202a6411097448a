"""One config file, read strictly: what YAML lets pass in silence is refused here, in one line.

Used by `chameleon.experiment.load`, and by the Snakefile on the files that Snakemake has read already with
its own reader, which takes the last of two equal keys and follows anchors wherever they lead.
"""

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from chameleon.core import strict_json
from chameleon.core.errors import UserError

#: A config is some hundred lines; beyond these it is a mistake or an attack.
MOST_BYTES = 4_000_000
MOST_VALUES = 200_000

#: The key that makes Snakemake's own reader run expressions.
_CODE = "__use_yte__"
_TOP = "(top level)"
_PLAIN = ("str", "int", "float", "bool", "null", "map", "seq", "merge")
#: Whole numbers that YAML 1.1 reads in base 8 or 60.
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|[0-9_]+(:[0-9_]+)+)")


def read(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML (or JSON) file.

    Raises:
        UserError: no such file, not UTF-8, empty, not YAML, several documents, a key given twice, a key that
            is no text, a tag, a whole number in another base, or anchors that expand without end.
    """
    text = _text(path)
    try:
        raw = _json(text, path)
        if raw is None:
            raw = _yaml(text, path)
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected a mapping, found {type(raw).__name__}")
    if _CODE in raw:
        raise UserError(f"{path}: {_CODE}: refused: nothing in a config is run as code")
    return raw


def _text(path: str | Path) -> str:
    try:
        with open(path, "rb") as handle:
            data = handle.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path}: more than {MOST_BYTES} bytes; this is no config")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = f"0x{data[error.start]:02x} at byte {error.start}"
        raise UserError(f"{path}: not UTF-8 ({bad}); save it as UTF-8") from error


def _json(text: str, path: str | Path) -> Any:
    """Return what a file in JSON holds, or None for one that is not: Snakemake tries JSON first, too."""
    try:
        json.loads(text)
    except ValueError:
        return None
    try:
        return strict_json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _yaml(text: str, path: str | Path) -> Any:
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            raise UserError(f"{path}: is empty")
        _check_node(root, path, loader)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except (ValueError, OverflowError) as error:
        # A value that only looks like what YAML takes it for: a number of thousands of digits.
        raise UserError(f"{path}: not valid YAML: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _check_node(root: Any, path: str | Path, loader: Any) -> None:
    """Refuse what stands in a YAML file and cannot be seen any more in what it is read as."""
    #: id of a node -> values that it expands to; None while it is being looked at.
    sizes: dict[int, int | None] = {}

    def visit(node: Any, key: str) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            _refuse(path, node, f"{key}: the anchor holds itself; write its values out")
        if known:
            return known
        sizes[id(node)] = None
        _check_tag(node, path, key)
        size = 1
        if node.id == "scalar" and not node.tag.endswith(":str"):
            plain = loader.resolve(type(node), node.value, (True, False))
            if plain != node.tag:
                _refuse(path, node, f"{key}: {node.value!r} is not what its tag says")
        if node.id == "sequence":
            for i, item in enumerate(node.value):
                size += visit(item, f"{key}.{i}")
        elif node.id == "mapping":
            _check_keys(node, path, key)
            for name, value in node.value:
                size += 1 + visit(value, f"{key}.{name.value}" if key else name.value)
        if size > MOST_VALUES:
            _refuse(path, node, f"{key or _TOP}: its anchors expand to more than {MOST_VALUES} values")
        sizes[id(node)] = size
        return size

    visit(root, "")


def _check_tag(node: Any, path: str | Path, key: str) -> None:
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    if tag in ("timestamp", "value"):
        _refuse(path, node, f'{key}: {node.value} is no text to YAML; write it in quotes: "{node.value}"')
    if tag not in _PLAIN or tag == node.tag:
        said = node.tag.replace("tag:yaml.org,2002:", "!!")
        _refuse(path, node, f"{key or _TOP}: the tag {said} is not allowed: a config holds texts, numbers, "
                "true, false, null, lists and mappings")  # fmt: skip
    if tag == "int" and _OTHER_BASE.fullmatch(node.value):
        _refuse(path, node, f"{key}: {node.value} is in base 8 or 60 to YAML; write it without leading zeros "
                f'and colons, or in quotes: "{node.value}"')  # fmt: skip


def _check_keys(node: Any, path: str | Path, where: str) -> None:
    seen = set()
    for name, _ in node.value:
        tag = name.tag.removeprefix("tag:yaml.org,2002:")
        key = f"{where}." if where else ""
        if name.id != "scalar":
            _refuse(path, name, f"{where or _TOP}: a key must be a text, not a {name.id}")
        if tag not in ("str", "merge"):
            kind = {"bool": "true or false", "null": "nothing"}.get(tag, "no text")
            _refuse(path, name, f"{where or _TOP}: the key {name.value or '(empty)'} is {kind} to YAML; "
                    f'write it in quotes: "{name.value}"')  # fmt: skip
        if name.value in seen:
            hint = "; write <<: [*one, *two]" if tag == "merge" else "; keep one of them"
            _refuse(path, name, f"{key}{name.value}: the key is given twice{hint}")
        seen.add(name.value)


def _refuse(path: str | Path, node: Any, message: str) -> NoReturn:
    raise UserError(f"{path}: line {node.start_mark.line + 1}: {message}")
