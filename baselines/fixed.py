"""Fixed: weights that somebody else computed, from the config, a weights file or a published table.

For mixtures printed in a paper or found by another tool, so that they are trained and judged like any other.
A file is either a plain JSON object {domain: weight} or a weights file of this suite; the latter is refused
when it was computed with another tokenizer, before any job runs. `published` names a mixture of
`chameleon.published` (the DoReMi, DoGE and RegMix mixtures that could be recovered). Where the names of a
file or of a published mixture are only spelt otherwise (Pile-CC, pile_cc), they are matched; `rename` says
which of its domains each other domain of ours takes its weight from, either way round. Costs nothing here;
what it cost where it was made is not counted.

Known differences from the paper:
- Weights are divided by their sum, since printed digits need not sum to one; a sum further from one than 0.02
  is refused.
- With `partial`, the weight of domains that ours leave out is shared among ours in proportion.
- A published weight goes to the domain that `rename` names: text of a like kind, not the paper's text. The
  tokenizer, models and recipe are the scenario's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import read_json
from chameleon.core.errors import shown
from chameleon.mixing import Method, MethodInputs, MethodResult, UserError, check_flag, is_number, register
from chameleon.mixing.names import match
from chameleon.published import mixture

#: Printed weights are rounded; a sum further from one than this is a mistake, not rounding.
ROUNDING = 0.02
SOURCES = ("weights", "file", "published")


@register
class Fixed(Method):
    """The mixture in `weights`, `file` or `published`, scaled to sum to one."""

    name = "fixed"
    parameters = {
        "weights": None,  # {domain: weight}
        "file": None,  # path of a JSON file
        "published": None,  # id of a published mixture
        # With file and published: {our domain: its domain}, or the other way round, where the names differ.
        "rename": None,
        # With file and published: True takes a mixture of more domains, and what ours leave out is shared in
        # proportion.
        "partial": False,
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse missing, unknown or unusable weights, and files made with another tokenizer."""
        where, weights, made_with = _read(params, domains)
        if made_with not in (None, facts["tokenizer_fingerprint"]):
            raise UserError(
                f"{where}: tokenizer_fingerprint {made_with[:12]} is not this config's "
                f"{facts['tokenizer_fingerprint'][:12]}: the weights belong to another tokenizer or corpus"
            )
        if sum(weights.values()) <= 0:
            raise UserError(f"{where}: the weights of {', '.join(weights)} sum to 0")

    def files(self, params: Mapping[str, Any]) -> list[str]:
        return [] if params["file"] is None else [str(params["file"])]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        _, weights, _ = _read(inputs.params, inputs.domains)
        total = sum(weights[d] for d in inputs.domains)
        return inputs.answer({d: weights[d] / total for d in inputs.domains})


def _read(params: Mapping[str, Any], domains: tuple[str, ...]) -> tuple[str, dict[str, float], str | None]:
    """Return where the weights stand, those of our domains, and the tokenizer they were made with, if known.

    Raises:
        UserError: not one source, a source that cannot be read, a weight that is none, or names that do not
            fit.
    """
    given, file, published = (params.get(key) for key in SOURCES)
    if sum(source is not None for source in (given, file, published)) != 1:
        raise UserError(f"method fixed: give exactly one of the parameters {', '.join(SOURCES)}")
    if given is not None:
        for key in ("rename", "partial"):
            if params.get(key):
                raise UserError(f"method fixed: {key}: only goes with the parameters file and published")
        return "method fixed: weights", _ours(given, "method fixed: weights", domains), None
    if published is not None:
        table = dict(mixture(published).weights)
        return _renamed(f"method fixed: published {published}", table, params, domains, None)
    if not isinstance(file, str) or not file:
        raise UserError(f"method fixed: file: {file!r} is not the path of a file")
    found = read_json(Path(file))
    if not isinstance(found, dict):
        raise UserError(f"{file}: expected a JSON object of domains and weights")
    stages, made_with = found.get("stages"), found.get("tokenizer_fingerprint")
    if not isinstance(stages, list):
        return _renamed(file, found, params, domains, None)
    if len(stages) != 1:
        raise UserError(f"{file}: holds {len(stages)} stages; method fixed takes static weights")
    weights = stages[0].get("weights") if isinstance(stages[0], dict) else None
    if not isinstance(weights, dict):
        raise UserError(f"{file}: stages.0: {shown(stages[0])} has no mapping `weights`")
    if not isinstance(made_with, str | None):
        raise UserError(f"{file}: tokenizer_fingerprint: {shown(made_with)} is no text")
    return _renamed(file, weights, params, domains, made_with)


def _ours(given: object, where: str, domains: tuple[str, ...]) -> dict[str, float]:
    """Return weights that are given under our own names."""
    if not isinstance(given, Mapping):
        raise UserError(f"{where}: {given!r} is not a mapping of domains to weights")
    for domain in domains:
        if domain not in given:
            raise UserError(f"{where}: no weight for domain {domain!r}; it has {', '.join(map(str, given))}")
    for domain in given:
        if domain not in domains:
            raise UserError(f"{where}: unknown domain {domain!r}; valid: {', '.join(domains)}")
    _check_weights(given, where)
    return {domain: float(given[domain]) for domain in domains}


def _renamed(
    where: str,
    table: Mapping[str, float],
    params: Mapping[str, Any],
    domains: tuple[str, ...],
    made_with: str | None,
) -> tuple[str, dict[str, float], str | None]:
    """Return somebody else's weights under our domains' names."""
    partial = params.get("partial")
    if partial is not None:
        check_flag("method fixed: partial", partial)
    _check_weights(table, where)
    taken = match(domains, table, params.get("rename"), where, "method fixed: rename")
    unused = [name for name in table if name not in taken.values()]
    if unused and not partial:
        share = sum(table[name] for name in unused)
        raise UserError(
            f"{where}: no domain takes the weight of {', '.join(unused)} ({share:.3f} in all); name them in "
            "rename, or set partial: true to share it in proportion"
        )
    return where, {domain: float(table[name]) for domain, name in taken.items()}, made_with


def _check_weights(table: Mapping[Any, Any], where: str) -> None:
    if not table:
        raise UserError(f"{where}: holds no weights")
    for name, weight in table.items():
        if not is_number(weight, least=0, most=1):
            raise UserError(f"{where}: {name}: {shown(weight)} is not a weight between 0 and 1")
    total = sum(table.values())
    if abs(total - 1) > ROUNDING:
        raise UserError(f"{where}: the weights sum to {total:.4g}, not to 1")
