"""The report's first page: five sentences on what was compared, what it cost, what held and what did not.

After all scenarios. Reads the tidy files and nothing else; writes `summary.md` and `summary.html` beside
them. Its numbers come from the functions that the tables use, so the two cannot disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from chameleon.core import artifacts
from chameleon.reporting.pages import page
from chameleon.reporting.records import tidy
from chameleon.reporting.records.missing import Gaps, counted
from chameleon.reporting.records.tidy import (
    YARDSTICK,
    Frames,
    first_seen,
    method_order,
    shots,
    tasks,
    tested_domains,
)
from chameleon.reporting.statistics.comparisons import base_cost, series, to_uniform, weighting_cost
from chameleon.reporting.verdicts.claims import judge
from chameleon.reporting.verdicts.findings import ABSENT, FAILS, HOLDS, OPEN, SET
from chameleon.reporting.verdicts.judging import signed

#: What a kind of scenario does, with the number of its domains.
DOES = {
    "pretrain": "pretraining on {} domains",
    "transfer": "a transfer to {} domains",
    "finetune": "finetuning on {} domains",
}


def make_summary(results: Path, scenarios: Mapping[str, str]) -> None:
    """Write `results/summary.md` and `.html`.

    Args:
        results: folder of the tidy files.
        scenarios: {name: kind}, in reading order.

    Raises:
        UserError: a tidy file is missing or malformed, or holds no row of a scenario.
    """
    results = Path(results)
    text = "\n\n".join(sentences(scenarios, tidy.of_scenarios(results, scenarios))) + "\n"
    artifacts.write_text(results / "summary.md", text)
    artifacts.write_text(results / "summary.html", page("Summary", text))


def sentences(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> list[str]:
    """Return the five sentences, each beginning with its bold subject.

    Args:
        kinds: {scenario: kind}.
        frames: {scenario: tidy frames}.
    """
    judged = judge(kinds, frames)
    by_verdict = {
        v: [c.short for c, f in judged if f.verdict == v] for v in (HOLDS, FAILS, SET, OPEN, ABSENT)
    }
    return [
        _compared(kinds, frames),
        _cost(frames),
        _best(frames),
        _verdicts(by_verdict, len(judged)),
        _undecided(by_verdict, frames),
    ]


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _compared(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> str:
    methods = method_order(m for f in frames.values() for m in Gaps(f).methods)
    does = [
        f"{DOES[kind].format(len(tested_domains(frames[s]['metrics'])))} (`{s}`)"
        for s, kind in kinds.items()
        if not frames[s]["metrics"].empty
    ]
    runs = sum(len(f["metrics"][["method", "seed"]].drop_duplicates()) for f in frames.values())
    lost, planned = counted(frames)
    there = f"{runs} of {planned} planned runs" if lost else f"{runs} runs"
    few = first_seen(t for f in frames.values() for t in tasks(f["metrics"]))
    numbers = sorted({n for f in frames.values() for n in shots(f["metrics"])})
    tested = "perplexity on held-out text of every domain"
    if few:
        tested += f" and accuracy on {len(few)} few-shot tasks at {listed([str(n) for n in numbers])} shots"
    ways = "ways" if len(methods) > 1 else "way"
    scales = first_seen(x for f in frames.values() for x in f["metrics"]["scale"])
    return (
        f"**What was compared:** {len(methods)} {ways} to weigh domains ({', '.join(methods)}) in "
        f"{listed(does)}, by training the same base model (scale {listed([f'`{x}`' for x in scales])}) on "
        f"each mixture, {there} over {_seeds(frames)}, and measuring {tested}."
    )


def _cost(frames: Mapping[str, Frames]) -> str:
    first = next(s for s, f in frames.items() if not f["costs"].empty)
    costs = frames[first]["costs"]
    methods = method_order(costs["method"])
    unknown = [m for m in Gaps(frames[first]).methods if m not in methods]
    base = base_cost(costs, methods[0])
    shares = {m: 100 * weighting_cost(costs, m) / base for m in methods} if base else {}
    free = [m for m, share in shares.items() if share < 1e-3]
    paid = [
        f"{share:.0f} % for {m}" for m, share in sorted(shares.items(), key=lambda x: x[1]) if m not in free
    ]
    weights = f"the weights cost nothing for {listed(free)}" if free else "no weights were free"
    weights += f" and, of a base run's FLOPs, {listed(paid)}" if paid else ""
    weights += f"; those of {listed(unknown)} are not known" if unknown else ""
    hours = sum(float(f["costs"]["seconds"].sum()) / 3600 for f in frames.values())
    devices = first_seen(d for f in frames.values() for d in f["costs"]["device"])
    tokens = base_cost(costs, methods[0], "tokens")
    return (
        f"**What it cost:** a base run of `{first}` reads {tokens / 1e6:.2f} million tokens and takes "
        f"{base:.1e} FLOPs and {base_cost(costs, methods[0], 'seconds'):.0f} seconds; {weights}; all jobs "
        f"together, with what methods share counted under each, come to {hours:.1f} hours on "
        f"{listed(devices)}."
    )


def _best(frames: Mapping[str, Frames]) -> str:
    parts, unsure = [], []
    for scenario, frame in frames.items():
        metrics, gaps = frame["metrics"], Gaps(frame)
        known = {m: series(metrics, m, "mean", "mean_perplexity") for m in method_order(metrics["method"])}
        found = [values for values in known.values() if values]
        # Seeds differ in level: where some are missing, means compare only over those that all have.
        shared = [seed for seed in (found[0] if found else []) if all(seed in values for values in found)]
        if not shared:
            unsure.append(f"`{scenario}`")
            continue
        means = {m: sum(values[s] for s in shared) / len(shared) for m, values in known.items() if values}
        best = min(means, key=lambda m: means[m])
        against = None if best == YARDSTICK else to_uniform(metrics, best, "mean", "mean_perplexity")
        facts = [f"{means[best]:.1f}"]
        if against is not None:
            facts.append(f"{signed(against, 1, '%')} against uniform")
            facts += [] if against.excludes_zero else ["undecided"]
        if over := gaps.fewer(len(shared) if against is None else against.n):
            facts.append(f"over {over}")
        parts.append(f"{best} in `{scenario}` ({', '.join(facts)})")
    left = f"in {listed(unsure)} the methods have no seed in common" if unsure else ""
    best = f"the lowest mean perplexity was that of {listed(parts)}" if parts else ""
    said = "; ".join(filter(None, [best, left]))
    return f"**What came out best** (picked after the fact, which flatters it): {said}."


def _verdicts(by_verdict: Mapping[str, Sequence[str]], count: int) -> str:
    held, failed, fixed = by_verdict[HOLDS], by_verdict[FAILS], by_verdict[SET]
    of_config = f"; {len(fixed)} {'is' if len(fixed) == 1 else 'are'} set by the config's steps and scales"
    return (
        f"**What held and what did not:** of {count} claims of the papers, {len(held)} hold for the "
        f"published rules with this suite's defaults at these numbers of domains and these budgets"
        f"{_colon(held)}; {len(failed)} do not{_colon(failed)}{of_config + _colon(fixed) if fixed else ''}."
    )


def _undecided(by_verdict: Mapping[str, Sequence[str]], frames: Mapping[str, Frames]) -> str:
    undecided, absent = by_verdict[OPEN], by_verdict[ABSENT]
    widths = _resolution(frames)
    limits = "no interval can be given"
    if widths:
        span = f"{min(widths):.1f} to {max(widths):.1f} %"
        limits = f"half an interval of a difference to uniform in mean perplexity is {span}"
    left = f" and {len(absent)} were not measured" if absent else ""
    return (
        f"**What stays open:** {len(undecided)} claims are undecided{_colon(undecided)}{left}; with "
        f"{_seeds(frames)} {limits}, and what holds for models this small need not hold for large ones."
    )


def _resolution(frames: Mapping[str, Frames]) -> list[float]:
    """Return half the intervals (percent) of all differences to uniform in mean perplexity."""
    found = [
        to_uniform(f["metrics"], m, "mean", "mean_perplexity")
        for f in frames.values()
        for m in method_order(f["metrics"]["method"])
        if m != YARDSTICK
    ]
    return [e.half_width for e in found if e is not None and e.half_width is not None]


def _colon(names: Iterable[str]) -> str:
    text = "; ".join(names)
    return f" ({text})" if text else ""


def _seeds(frames: Mapping[str, Frames]) -> str:
    counts = sorted({Gaps(f).planned for f in frames.values()})
    return f"{listed([str(c) for c in counts], 'or')} seed{'' if counts == [1] else 's'}"
