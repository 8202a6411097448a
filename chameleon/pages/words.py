"""What a mixture's page says in words: the headline, how sure it is, how it was made."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chameleon.mixture import Domain, Mixture
from chameleon.pages.document import box, escape

#: Weights that differ by less are the same.
SAME = 1e-9
#: Letters of a name that a sentence has room for.
LONG = 60


class Interval(NamedTuple):
    """Ends of every domain's interval, in the order of the domains, and what was drawn again for it."""

    low: list[float]
    high: list[float]
    over: str


def named(name: str) -> str:
    """Return a name for a sentence, as HTML; the table has those in full that are too long for one."""
    return escape(name if len(name) <= LONG else name[: LONG - 1] + "…")


def percent(share: float) -> str:
    """Return a share of one as a percentage with the digits that matter."""
    value = 100 * share
    if value == 0 or value >= 99.95:
        return f"{value:.0f} %"
    if value >= 1:
        return f"{value:.1f} %"
    return f"{value:.2g} %" if value >= 0.001 else "< 0.001 %"


def count(number: float) -> str:
    """Return a large number in thousands, millions and so on, three digits."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        # 999,950 is a million in three digits.
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def interval(about: Sequence[Domain], over: str) -> Interval | None:
    """Return the intervals over `windows` or `documents`; None unless every domain has one."""
    names = ("low", "high") if over == "windows" else ("low_documents", "high_documents")
    ends = [[getattr(domain, name) for domain in about] for name in names]
    return None if None in ends[0] or None in ends[1] else Interval(ends[0], ends[1], over)


def natural(about: Sequence[Domain]) -> list[float] | None:
    """Return weights in proportion to the domains' tokens; None unless all are known."""
    tokens = [domain.tokens for domain in about]
    known = [t for t in tokens if t is not None]
    if len(known) < len(tokens) or not sum(known):
        return None
    return [t / sum(known) for t in known]


def headline(weights: Mapping[str, float], best: Interval | None) -> str:
    """Return the mixture in one sentence, as HTML: who gets most, who gets least."""
    names, values = list(weights), list(weights.values())
    if len(names) == 1:
        return f"All of the training text is <strong>{named(names[0])}</strong>: there is nothing to mix."
    if max(values) - min(values) < SAME:
        return f"All {len(names)} domains get the same share, <strong>{percent(values[0])}</strong>."

    def said(i: int) -> str:
        ends = f" ({percent(best.low[i])} to {percent(best.high[i])})" if best else ""
        return f"<strong>{named(names[i])}</strong>, {percent(values[i])}{ends}"

    most, least = values.index(max(values)), values.index(min(values))
    return f"Train most on {said(most)}, and least on {said(least)}."


def sureness(weights: Mapping[str, float], best: Interval | None, confidence: float | None) -> str:
    """Return how sure the headline is, as HTML: whether the first place and the shares could be others."""
    names, values = list(weights), list(weights.values())
    k = len(names)
    if k == 1:
        return ""
    if best is None:
        return "How sure this is, is not known: the mixture carries no intervals."
    level = f"{100 * confidence:g} % intervals" if confidence else "intervals"
    top = values.index(max(values))
    rivals = [i for i in range(k) if i != top and best.high[i] >= best.low[top]]
    if not rivals:
        first = f"<strong>{named(names[top])}</strong> is first whichever {best.over} were read"
    else:
        rivals.sort(key=lambda i: -values[i])
        rival = named(names[rivals[0]])
        overlap = (
            f"the interval of {rival} overlaps"
            if len(rivals) == 1
            else f"the intervals of {rival} and {len(rivals) - 1} more overlap"
        )
        first = f"<strong>which domain is first is open</strong>: {overlap} that of {named(names[top])}"
    apart = sum(low > 1 / k or high < 1 / k for low, high in zip(best.low, best.high, strict=True))
    differ = "differs" if apart == 1 else "differ"
    return (
        f"How sure: {first}. {apart} of {k} domains {differ} from an equal share ({percent(1 / k)}) by more "
        f"than their {level} over {best.over}."
    )


def setting(mixture: Mixture) -> str:
    """Return how the mixture was made, as HTML."""
    how, embedder = mixture.how, mixture.embedder
    parts: list[str] = []
    if how is not None:
        parts.append(
            f"Chameleon, mode {escape(how['mode'])}, λ = {how['ridge_used']:.6g}, "
            f"T = {how['temperature_used']:.6g}"
        )
    if embedder is not None:
        parts.append(
            f"embedded by {escape(embedder['model'])}, layer {embedder['layer']} of {embedder['layers']}, "
            f"{embedder['windows']:,} windows of {embedder['window_length']:,} tokens"
        )
    if not parts:
        return "Weights as they were given; nothing is known of how they were made."
    return "; ".join(parts) + "."


def stages(mixture: Mixture) -> str:
    """Return a note on weights that move, as HTML; nothing for one stage."""
    found = mixture.schedule.stages
    if len(found) == 1:
        return ""
    starts = ", ".join(f"{stage.start_step:,}" for stage in found)
    return (
        f'<p class="absent">The weights move: {len(found)} stages, from steps {starts}. This page shows the '
        "last of them; mix.json has all.</p>"
    )


def warnings(lines: Sequence[str]) -> str:
    """Return the mixture's warnings as a box, as HTML; nothing for none."""
    said = "1 warning" if len(lines) == 1 else f"{len(lines)} warnings"
    return box(said, [escape(line) for line in lines])


def absent(why: str) -> str:
    """Return what stands in the place of a section that is left out, as HTML."""
    return f'<p class="absent">{escape(why)}</p>' if why else ""


def known(values: Sequence[Any]) -> bool:
    """Return whether anything is known."""
    return any(value is not None for value in values)
