"""Whether a merged config has the right shape: every key known, every value of its type.

The schema is `chameleon/core/schemas/config.json`; the keys of a corpus entry are its kind's own. Messages
name the key and the value, and say how to write it where YAML has read something else than was meant.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from chameleon.core.artifacts import explain, load_schema
from chameleon.core.errors import UserError, shown
from chameleon.data.corpora.base import kinds

#: Whole numbers beyond this fit no counter of the numerical libraries.
MOST = 2**63 - 1
_CODE = "trust_remote_code"

# JSON Schema takes 8.0 for a whole number; as a number of steps or of documents it fails much later.
_Strict = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check_shape(raw: Mapping[str, Any]) -> None:
    """Check a config against the schema, and each corpus entry against its kind's keys.

    Raises:
        UserError: one line with the key, the value and how to write it.
    """
    _check_values(raw, "")
    _check(dict(raw), load_schema("config"), ())
    for name, entry in raw["corpora"].items():
        kind = kinds().get(entry["kind"])
        if kind is not None:
            _check(entry, {"properties": dict(kind.keys)}, ("corpora", name))


def _check(value: Any, schema: Mapping[str, Any], where: tuple[str, ...]) -> None:
    error = best_match(_Strict(schema).iter_errors(value))
    if error is not None:
        error.path.extendleft(reversed(where))
        raise UserError(_said(error))


def _check_values(value: Any, key: str) -> None:
    """Refuse what no schema sees: keys that are no text, numbers that are none, code from elsewhere."""
    where = key or "(top level)"
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                word = {"True": "yes", "False": "no", "None": "null"}.get(str(name), str(name))
                raise UserError(f'{where}: the key {name!r} is no text to YAML; write it in quotes: "{word}"')
            if name == _CODE:
                raise UserError(
                    f"{f'{key}.' if key else ''}{_CODE}: refused: a data set or model may not "
                    "bring code that is run here; leave the key out and use one that needs none"
                )
            if not name.isprintable() or name != name.strip():
                raise UserError(
                    f"{where}: the key {name!r} has blanks or signs that cannot be seen; write it anew"
                )
            _check_values(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            _check_values(inner, f"{key}.{i}")
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise UserError(f"{where}: {shown(value)} holds a character that is none")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}: {value} is no number that can be used")
    elif isinstance(value, int) and abs(value) > MOST:
        raise UserError(f"{where}: {shown(value)} is too large")
    elif not isinstance(value, int | float | bool | None):
        raise UserError(f'{where}: {value!s} is no text to YAML; write it in quotes: "{value!s}"')


def _said(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "(top level)"
    named = "propertyNames" in error.absolute_schema_path
    if named and isinstance(error.schema, dict) and "description" in error.schema:
        return f"{key}: the name {shown(error.instance)} must be {error.schema['description']}"
    if error.validator == "type":
        wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        hint = _hint(error.instance, wanted)
        return f"{key}: {shown(error.instance)} is not of type {' or '.join(wanted)}{hint}"
    if error.validator in ("anyOf", "additionalProperties", "enum"):
        return explain(error)
    # jsonschema prints a value in full, however long it is.
    return f"{key}: {error.message.replace(repr(error.instance), shown(error.instance), 1)}"


def _hint(value: object, wanted: list[str]) -> str:
    """Return how to write what was probably meant."""
    if "array" in wanted and isinstance(value, str | int | float):
        return f"; a list is expected: write [{value}]"
    if "string" in wanted:
        if isinstance(value, bool):
            words = "yes and on as true" if value else "no and off as false"
            return f'; YAML reads {words}: write a word in quotes: "{"yes" if value else "no"}"'
        if isinstance(value, int | float):
            return f'; to YAML it is a number: write it in quotes: "{value}"'
        if value is None:
            return "; nothing stands there: write a text, or leave the key out"
        if isinstance(value, list):
            return "; one text is expected, not a list"
    if {"integer", "number"} & set(wanted):
        if isinstance(value, str) and (number := _number(value)) is not None:
            return f"; YAML reads it as text: write {number}"
        if isinstance(value, float) and value.is_integer():
            return f"; a whole number is expected: write {int(value)}"
    if "boolean" in wanted and isinstance(value, str):
        return "; write true or false, without quotes"
    if "object" in wanted:
        return "; keys with values are expected, one `key: value` a line"
    return ""


def _number(text: str) -> str | None:
    """Return a number that YAML has read as text as YAML reads numbers, or None if it is none."""
    plain = re.sub(r"[_,\s](?=\d{3})", "", text.strip())
    try:
        number = float(plain)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    if number.is_integer() and abs(number) < MOST:
        return str(int(number))
    said = repr(number)
    return said if "e" not in said or "." in said else said.replace("e", ".0e")
