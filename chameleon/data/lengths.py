"""Whether the splits of a corpus are as long as is asked of them: known as soon as they are tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.core.errors import UserError

#: Split -> [tokens that every domain needs, the key of the config that asks for them].
Asked = Mapping[str, Sequence[Any]]


def check_lengths(where: str, domains: Mapping[str, Mapping[str, Any]], asked: Asked) -> None:
    """Refuse splits that are too short.

    Args:
        where: the corpus or its manifest, for the message.
        domains: domain -> split -> its entry of the manifest.
        asked: what is asked of every domain.

    Raises:
        UserError: one line for the shortest split: domain, split, tokens there, tokens asked, keys to change.
    """
    short = [
        (splits[split]["tokens"] / tokens, domain, split)
        for domain, splits in domains.items()
        for split, (tokens, _) in asked.items()
        if splits[split]["tokens"] < tokens
    ]
    if not short:
        return
    _, domain, split = min(short)
    there, (tokens, key) = domains[domain][split]["tokens"], asked[split]
    share = "" if split == "train" else f", or raise data.split.{split}"
    others = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
    raise UserError(
        f"{where}: domain {domain!r}: its {split} split holds {there} tokens, but {key} needs {tokens}"
        f"{others}; lower it{share}, give the domain more text, or leave it out"
    )
