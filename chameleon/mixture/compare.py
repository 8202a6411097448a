"""Two mixtures side by side."""

from dataclasses import dataclass

from chameleon.core.errors import UserError
from chameleon.mixture.mixture import Mixture


@dataclass(frozen=True)
class Comparison:
    """Two static mixtures over the domains of both.

    Attributes:
        rows: (domain, weight in the first, weight in the second); None: it is not in that one.
        distance: total variation, 0 to 1: the share of the tokens that would be others.
        apart: domains whose intervals do not meet; empty where a mixture has no intervals.
        notes: what is not alike in how they were made, a line each.
    """

    rows: list[tuple[str, float | None, float | None]]
    distance: float
    apart: list[str]
    notes: list[str]

    def lines(self, first: str, second: str) -> list[str]:
        """Return the comparison as text; `first` and `second` name the mixtures."""
        wide = max(6, *(len(name) for name, _, _ in self.rows))
        left, right = max(9, len(first)), max(9, len(second))
        said = [f"{'domain':{wide}}  {first:>{left}}  {second:>{right}}  difference"]
        for name, a, b in self.rows:
            cells = [f"{'-' if w is None else f'{w:.4f}':>{n}}" for w, n in ((a, left), (b, right))]
            mark = "  intervals do not meet" if name in self.apart else ""
            said.append(f"{name:{wide}}  {'  '.join(cells)}  {(b or 0) - (a or 0):+10.4f}{mark}")
        said.append(
            f"total variation {self.distance:.4f}: the share of all tokens that would come from elsewhere"
        )
        return [*said, *(f"note: {note}" for note in self.notes)]


def compare(first: Mixture, second: Mixture) -> Comparison:
    """Return two static mixtures side by side: the first's domains, then those of the second alone.

    Raises:
        UserError: a mixture that moves, or no domain in common.
    """
    a, b = first.weights, second.weights
    if not set(a) & set(b):
        raise UserError(f"no domain is in both: {', '.join(a)}; {', '.join(b)}")
    names = [*a, *(name for name in b if name not in a)]
    apart = []
    for name in names:
        x, y = first.domain(name), second.domain(name)
        if None in (x.low, x.high, y.low, y.high) or name not in a or name not in b:
            continue
        if x.low > y.high or y.low > x.high:  # type: ignore[operator]
            apart.append(name)
    distance = sum(abs(a.get(name, 0.0) - b.get(name, 0.0)) for name in names) / 2
    return Comparison([(n, a.get(n), b.get(n)) for n in names], distance, apart, _notes(first, second))


def _notes(first: Mixture, second: Mixture) -> list[str]:
    """Return what differs in how two mixtures were made, where that is known of both."""
    notes = []
    for what, x, y in (("embedder", first.embedder, second.embedder), ("settings", first.how, second.how)):
        if x is None or y is None:
            continue
        for key in sorted({*x, *y}):
            if x.get(key) != y.get(key) and key not in ("sha256", "ridge_used", "temperature_used"):
                notes.append(f"{what}: {key}: {x.get(key)} against {y.get(key)}")
    return notes
