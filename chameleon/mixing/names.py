"""Whose weight each of our domains takes from a table with somebody else's names.

Used by methods that read weights made elsewhere. `Pile-CC` and `Wikipedia (en)` cannot be names of folders:
they are matched with `pile_cc` and `wikipedia_en` where no other name is spelt alike. Everything else needs
`rename`.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from chameleon.core.errors import UserError, choices


def spelling(name: str) -> str:
    """Return a name as it is compared: lower case, words of letters and digits joined by _."""
    return "_".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold()))


def match(
    domains: Iterable[str], names: Iterable[str], rename: Mapping[str, str] | None, where: str, key: str
) -> dict[str, str]:
    """Return domain -> name for every domain; no name goes to two of them.

    Args:
        domains: ours.
        names: theirs.
        rename: {our domain: their name} or, as well, {their name: our domain}.
        where: what the names stand in, for messages.
        key: `rename` as the user wrote it, for messages.

    Raises:
        UserError: `rename` is no such mapping, or a domain has no name, several, or that of another one.
    """
    ours, theirs = list(domains), list(names)
    found = _renamed(rename, ours, theirs, where, key)
    for domain in ours:
        if domain in theirs:
            found.setdefault(domain, domain)
    open_names = [name for name in theirs if name not in found.values()]
    for domain in [d for d in ours if d not in found]:
        plain = spelling(domain)
        alike = [name for name in open_names if plain and spelling(name) == plain]
        rivals = [d for d in ours if d not in found and spelling(d) == plain]
        if not alike:
            said = choices(domain, open_names or theirs)
            raise UserError(f"{where}: domain {domain}: {said}; name it in {key}: {{{domain}: ...}}")
        if len(alike) > 1 or len(rivals) > 1:
            both = ", ".join(alike if len(alike) > 1 else rivals)
            raise UserError(
                f"{where}: domain {domain}: {both} are spelt alike; name it in {key}: {{{domain}: ...}}"
            )
        found[domain] = alike[0]
        open_names.remove(alike[0])
    taken: dict[str, str] = {}
    for domain in ours:
        if (name := found[domain]) in taken:
            raise UserError(f"{where}: {name} goes to both {taken[name]} and {domain}; rename one of them")
        taken[name] = domain
    return {domain: found[domain] for domain in ours}


def _renamed(rename: Any, ours: list[str], theirs: list[str], where: str, key: str) -> dict[str, str]:
    """Return {our domain: their name}, whichever way round `rename` has it."""
    if rename is None:
        return {}
    if not isinstance(rename, Mapping) or not all(
        isinstance(n, str) for pair in rename.items() for n in pair
    ):
        raise UserError(f"{key}: {rename!r} is not a mapping of domains to names")
    straight = all(domain in ours and name in theirs for domain, name in rename.items())
    if not straight and all(name in theirs and domain in ours for name, domain in rename.items()):
        turned = {domain: name for name, domain in rename.items()}
        if len(turned) < len(rename):
            twice = next(d for d in turned if list(rename.values()).count(d) > 1)
            raise UserError(f"{key}: {twice} takes the weight of several names; give it one")
        return turned
    for domain, name in rename.items():
        if domain not in ours:
            raise UserError(f"{key}: domain {choices(domain, ours)}")
        if name not in theirs:
            raise UserError(f"{where}: rename {domain}: {choices(name, theirs)}")
    return dict(rename)
