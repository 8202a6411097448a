"""Fixed: weights that somebody else computed, from the config, a weights file or a published table.

For mixtures printed in a paper or found by another tool, so that they are trained and judged like any other.
A file is either a plain JSON object {domain: weight} or a weights file of this suite; the latter is refused
when it was computed with another tokenizer, before any job runs. `published` names a mixture of
`chameleon.published` (the DoReMi, DoGE and RegMix mixtures that could be recovered) and `rename` says which
of its domains each domain of ours takes its weight from. Costs nothing here; what it cost where it was made
is not counted.

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
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    MixtureSchedule,
    UserError,
    check_flag,
    choices,
    is_number,
    register,
)
from chameleon.published import mixture

#: Printed weights are rounded; a sum further from one than this is a mistake, not rounding.
ROUNDING = 0.02
SOURCES = ("weights", "file", "published")


@register
class Fixed(Method):
    """The mixture in `weights`, `file` or `published`, scaled to sum to one."""

    name = "fixed"
    version = 1
    defaults = {
        "weights": None,  # {domain: weight}
        "file": None,  # path of a JSON file
        "published": None,  # id of a published mixture
        "rename": None,  # with published: {our domain: published domain}, where the names differ
        # With published: True takes a mixture of more domains, and what ours leave out is shared in
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
        for domain in domains:
            if domain not in weights:
                raise UserError(f"{where}: no weight for domain {domain!r}; it has {', '.join(weights)}")
        for domain, weight in weights.items():
            if domain not in domains:
                raise UserError(f"{where}: unknown domain {domain!r}; valid: {', '.join(domains)}")
            if not is_number(weight, least=0, most=1):
                raise UserError(f"{where}: {domain}: {weight!r} is not a weight between 0 and 1")
        total = sum(weights.values())
        if params.get("partial") and total > 0:
            return
        if abs(total - 1) > ROUNDING:
            raise UserError(f"{where}: the weights sum to {total:.4g}, not to 1")

    def files(self, params: Mapping[str, Any]) -> list[str]:
        return [] if params["file"] is None else [str(params["file"])]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        _, weights, _ = _read(inputs.params, inputs.domains)
        total = sum(weights[d] for d in inputs.domains)
        return MethodResult(MixtureSchedule.static({d: weights[d] / total for d in inputs.domains}))


def _read(params: Mapping[str, Any], domains: tuple[str, ...]) -> tuple[str, dict[str, float], str | None]:
    """Return where the weights stand, the weights, and the tokenizer they were made with if it is known."""
    given, file, published = (params.get(key) for key in SOURCES)
    if sum(source is not None for source in (given, file, published)) != 1:
        raise UserError(f"method fixed: give exactly one of the parameters {', '.join(SOURCES)}")
    if published is not None:
        return _published(published, params.get("rename"), params.get("partial"), domains)
    for key in ("rename", "partial"):
        if params.get(key):
            raise UserError(f"method fixed: {key}: only goes with the parameter published")
    if file is None:
        if not isinstance(given, Mapping):
            raise UserError(f"method fixed: weights: {given!r} is not a mapping of domains to weights")
        return "method fixed: weights", dict(given), None
    found = read_json(Path(file))
    if not isinstance(found, dict):
        raise UserError(f"{file}: expected a JSON object of domains and weights")
    if "stages" not in found:
        return str(file), found, None
    if len(found["stages"]) != 1:
        raise UserError(f"{file}: holds {len(found['stages'])} stages; method fixed takes static weights")
    return str(file), found["stages"][0]["weights"], found.get("tokenizer_fingerprint")


def _published(
    name: str, rename: Mapping[str, str] | None, partial: object, domains: tuple[str, ...]
) -> tuple[str, dict[str, float], None]:
    """Return a published mixture under our domains' names; none goes to two of ours."""
    where = f"method fixed: published {name}"
    table = mixture(name).weights
    if partial is not None:
        check_flag("method fixed: partial", partial)
    if not isinstance(rename, Mapping | None):
        raise UserError(f"method fixed: rename: {rename!r} is not a mapping of domains to published names")
    renamed = dict(rename or {})
    for domain in renamed:
        if domain not in domains:
            raise UserError(f"method fixed: rename: domain {choices(domain, domains)}")
    taken: dict[str, str] = {}
    for domain in domains:
        source = renamed.get(domain, domain)
        if source not in table:
            key = "rename" if domain in renamed else "domain"
            raise UserError(f"{where}: {key} {domain}: {choices(source, table)}")
        if source in taken:
            raise UserError(
                f"{where}: {source} goes to both {taken[source]} and {domain}; rename one of them"
            )
        taken[source] = domain
    unused = [d for d in table if d not in taken]
    if unused and not partial:
        share = sum(table[d] for d in unused)
        raise UserError(
            f"{where}: no domain takes the weight of {', '.join(unused)} ({share:.3f} in all); name them in "
            "rename, or set partial: true to share it in proportion"
        )
    return where, {domain: table[source] for source, domain in taken.items()}, None
