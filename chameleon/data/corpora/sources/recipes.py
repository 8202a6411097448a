"""Recipes as JSON records: title, facts, list of ingredients, numbered steps."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chameleon.data.corpora.readers import Members, decode

_FACTS = ("category", "servings", "time")
# What the extraction from the wiki left: HTML tags (mostly line breaks) and marks of italics and bold.
_BREAK = re.compile(r"\s*<br\s*/?>\s*")
_MARKUP = re.compile(r"<[^<>]*>|'{2,}")


def _flat(text: Any) -> str:
    return _MARKUP.sub("", _BREAK.sub(", ", str(text))).strip()


def _recipe(record: Mapping[str, Any]) -> str:
    facts = "".join(f"\n{fact.capitalize()}: {_flat(record[fact])}" for fact in _FACTS if record.get(fact))
    ingredients = "\n".join(f"- {_flat(line)}" for line in record["ingredients"])
    steps = "\n".join(f"{number}. {_flat(line)}" for number, line in enumerate(record["steps"], 1))
    return f"{record['title']}{facts}\n\nIngredients\n{ingredients}\n\nDirections\n{steps}"


def read(members: Members) -> Iterator[str]:
    """Yield one document per recipe that has both ingredients and steps, in the order of their keys."""
    for _, data in members:
        recipes = json.loads(decode(data))
        for key in sorted(recipes):
            if recipes[key].get("ingredients") and recipes[key].get("steps"):
                yield _recipe(recipes[key])
