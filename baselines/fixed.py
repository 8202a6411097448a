"""Fixed: weights that somebody else computed, from the config or from a weights file.

For mixtures printed in a paper or found by another tool, so that they are trained and judged like any other.
A file is either a plain JSON object {domain: weight} or a weights file of this suite; the latter is refused
when it was computed with another tokenizer, before any job runs. Costs nothing here; what it cost where it
was made is not counted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.artifacts import read_json
from chameleon.errors import UserError
from chameleon.interfaces import Method, MethodInputs, MethodResult, MixtureSchedule
from chameleon.registry import register

#: Printed weights are rounded; a sum further from one than this is a mistake, not rounding.
ROUNDING = 0.02


@register
class Fixed(Method):
    """The mixture in `weights` or `file`, scaled to sum to one."""

    name = "fixed"
    version = 1
    defaults = {
        "weights": None,  # {domain: weight}
        "file": None,  # path of a JSON file
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse missing, unknown or unusable weights, and files made with another tokenizer."""
        where, weights, made_with = _read(params)
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
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
                raise UserError(f"{where}: {domain}: {weight!r} is not a weight between 0 and 1")
        if abs(sum(weights.values()) - 1) > ROUNDING:
            raise UserError(f"{where}: the weights sum to {sum(weights.values()):.4g}, not to 1")

    def files(self, params: Mapping[str, Any]) -> list[str]:
        return [] if params["file"] is None else [str(params["file"])]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        _, weights, _ = _read(inputs.params)
        total = sum(weights[d] for d in inputs.domains)
        return MethodResult(MixtureSchedule.static({d: weights[d] / total for d in inputs.domains}))


def _read(params: Mapping[str, Any]) -> tuple[str, dict[str, float], str | None]:
    """Return where the weights stand, the weights, and the tokenizer they were made with if it is known."""
    given, file = params["weights"], params["file"]
    if (given is None) == (file is None):
        raise UserError("method fixed: give exactly one of the parameters weights and file")
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
