"""`Mixture`: the weights of a user's domains with what is known of each, and its file, `mix.json`.

What `chameleon weigh` writes and `export`, `compare`, `add` and the benchmark's method `fixed` read. A
weights file of the benchmark and a plain JSON object {domain: weight} are read as mixtures too, which know
less.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import check, read_json, write_json
from chameleon.core.errors import UserError, shown
from chameleon.mixing.schedule import MixtureSchedule, Stage

#: Printed weights are rounded; a sum further from one than this is a mistake.
ROUNDING = 0.02


@dataclass(frozen=True)
class Domain:
    """What is known of a domain; None: not known.

    Attributes:
        paths: files or folders of its text, or prefixes of its token shards.
        documents, characters: in all of its text.
        tokens: in all of its text, of the embedder's tokenizer (from the windows' tokens per character, or
            counted where the text came as tokens).
        tokens_per_document: mean.
        windows, documents_seen: that were embedded, and how many documents they come from.
        score: its leverage score.
        low, high: ends of its weight's interval (bootstrap over windows); low_documents, high_documents: over
            documents.
        influence: total variation between the others' weights with and without it.
        weights_without: the others' weights without it.
    """

    paths: list[str] = field(default_factory=list)
    documents: int | None = None
    characters: int | None = None
    tokens: float | None = None
    tokens_per_document: float | None = None
    windows: int | None = None
    documents_seen: int | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    low_documents: float | None = None
    high_documents: float | None = None
    influence: float | None = None
    weights_without: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixture:
    """Weights of domains: shares of the tokens that are trained on.

    Attributes:
        schedule: weights on the simplex over steps; one stage unless the mixture moves.
        about: what is known of each domain.
        how: mode, ridge, temperature and so on where Chameleon made it (schema `mixture`), else None.
        embedder: model, layer, width, windows where there was one, else None.
        affinity: k x k, in the order of `domains`; None where there is none.
        warnings: what a user should know before trusting it, a line each.
    """

    schedule: MixtureSchedule
    about: Mapping[str, Domain] = field(default_factory=dict)
    how: Mapping[str, Any] | None = None
    embedder: Mapping[str, Any] | None = None
    affinity: list[list[float]] | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, weights: Mapping[str, float], **known: Any) -> "Mixture":
        """Return a mixture of static weights, divided by their sum (printed digits need not sum to one).

        Raises:
            UserError: no weights, a negative one, or a sum further from one than 0.02.
        """
        return cls(_static(weights, "weights"), **known)

    @classmethod
    def load(cls, path: str | Path) -> "Mixture":
        """Return the mixture of a file (or of `mix.json` in a folder).

        Raises:
            UserError: no such file, or it is neither a mix.json, a weights file nor {domain: weight}.
        """
        path = Path(path)
        path = path / "mix.json" if path.is_dir() else path
        found = read_json(path)
        if not isinstance(found, dict):
            raise UserError(f"{path}: expected a JSON object of domains and weights, found {shown(found)}")
        if "format" in found and "unit" in found:
            check(found, "mixture", str(path))
            return cls(
                _schedule(found, str(path)),
                {name: Domain(**known) for name, known in found["about"].items()},
                found.get("how"),
                found.get("embedder"),
                found.get("affinity"),
                tuple(found.get("warnings", ())),
            )
        if isinstance(found.get("stages"), list):
            check(found, "weights", str(path))
            return cls(_schedule(found, str(path)))
        return cls(_static(found, str(path)))

    def save(self, path: str | Path) -> None:
        """Write the mixture as mix.json (byte-stable)."""
        write_json(path, self.to_dict(), "mixture")

    def to_dict(self) -> dict[str, Any]:
        """Return the content of mix.json."""
        return {
            "format": 1,
            "unit": "tokens",
            "domains": list(self.domains),
            "stages": [asdict(stage) for stage in self.schedule.stages],
            "about": {d: _known(self.domain(d)) for d in self.domains},
            "how": None if self.how is None else dict(self.how),
            "embedder": None if self.embedder is None else dict(self.embedder),
            "affinity": self.affinity,
            "warnings": list(self.warnings),
        }

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains, in the order of the weights."""
        return self.schedule.domains

    @property
    def static(self) -> bool:
        """Whether the weights stay the same."""
        return len(self.schedule.stages) == 1

    @property
    def weights(self) -> dict[str, float]:
        """The weights of a static mixture.

        Raises:
            UserError: the mixture moves; its average needs the length of the run (`average`).
        """
        if not self.static:
            raise UserError(f"the mixture has {len(self.schedule.stages)} stages, not one")
        return dict(self.schedule.stages[0].weights)

    def average(self, steps: int) -> dict[str, float]:
        """Return the mean weights over a run of so many steps."""
        total = dict.fromkeys(self.domains, 0.0)
        for length, weights in self.schedule.segments(steps):
            for domain, weight in weights.items():
                total[domain] += weight * length / steps
        return total

    def domain(self, name: str) -> Domain:
        """Return what is known of a domain (nothing, if nothing was said)."""
        return self.about.get(name, Domain())

    def knowing(self, about: Mapping[str, Domain]) -> "Mixture":
        """Return the mixture with more known of its domains: what `about` says replaces what was there.

        Raises:
            UserError: a domain that the mixture does not have.
        """
        merged = {d: self.domain(d) for d in self.domains}
        for name, more in about.items():
            if name not in merged:
                raise UserError(f"domain {name!r} is not in the mixture; it has {', '.join(self.domains)}")
            merged[name] = replace(merged[name], **_known(more))
        return replace(self, about=merged)


def _known(domain: Domain) -> dict[str, Any]:
    """Return the fields of a domain that are known."""
    empty: tuple[Any, ...] = (None, [], {})
    return {f.name: getattr(domain, f.name) for f in fields(domain) if getattr(domain, f.name) not in empty}


def _static(weights: Mapping[str, Any], where: str) -> MixtureSchedule:
    if not weights:
        raise UserError(f"{where}: holds no weights")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise UserError(f"{where}: {name}: {shown(weight)} is not a weight (a number, 0 or more)")
    total = sum(weights.values())
    if abs(total - 1) > ROUNDING:
        raise UserError(f"{where}: the weights sum to {total:.4g}, not to 1")
    return MixtureSchedule.static({str(name): weight / total for name, weight in weights.items()})


def _schedule(found: Mapping[str, Any], where: str) -> MixtureSchedule:
    """Return the stages of a file, their domains in its order (an object's keys are sorted in a file)."""
    domains = found["domains"]
    for stage in found["stages"]:
        if odd := sorted(set(domains) ^ set(stage["weights"])):
            raise UserError(f"{where}: stages: {odd[0]!r} is not in both the domains and the weights")
    try:
        return MixtureSchedule(
            tuple(Stage(s["start_step"], {d: s["weights"][d] for d in domains}) for s in found["stages"])
        )
    except ValueError as error:
        raise UserError(f"{where}: stages: {error}") from error
