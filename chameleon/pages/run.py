"""`run_page`: one HTML file that shows a run of the benchmark: verdicts, quality, costs, curves, weights.

Last stage of the flow, beside tables and figures: reads the tidy files, writes `page.html`. Its numbers come
from the functions that the tables use.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.pages.document import box, escape, fill, write
from chameleon.pages.heat import difference_table, plain_table, weight_table
from chameleon.pages.scenario import scenario_data
from chameleon.reporting import summary
from chameleon.reporting.figures.style import rounded
from chameleon.reporting.pages import inline
from chameleon.reporting.records import tidy
from chameleon.reporting.records.tidy import YARDSTICK, Frames, tested_domains
from chameleon.reporting.tables.verdicts import verdicts
from chameleon.reporting.verdicts.findings import FAILS, HOLDS, SET

#: Signs before verdicts, for those who do not read colours.
SIGNS = {HOLDS: "✓", FAILS: "✗", SET: "="}


def run_page(results: Path, out: Path, scenarios: Mapping[str, str] | None = None) -> None:
    """Write the page of a run.

    Tidy files that are not there (all but metrics.csv may lack), and rows that they lack, leave out what they
    would show.

    Args:
        results: folder of the tidy files, complete or partial.
        out: file to write.
        scenarios: {name: kind}, in reading order; None: as the run's record says, or, without one, those of
            metrics.csv, about which no verdict can be given then.

    Raises:
        UserError: metrics.csv is missing, a tidy file is malformed, or a scenario has no row.
    """
    results = Path(results)
    if scenarios is None:
        scenarios = _recorded(results)
    lost = [n for n in tidy.COLUMNS if n != "metrics" and not (results / f"{n}.csv").exists()]
    frames = tidy.of_scenarios(results, scenarios or None, lost)
    write(Path(out), "Benchmark run", *content(scenarios, frames, lost), "charts.js", "run.js")


def content(
    scenarios: Mapping[str, str], frames: Mapping[str, Frames], lost: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Return the page's body, as HTML, and the data that its scripts draw.

    Args:
        scenarios: {name: kind}; empty where kinds are not known.
        frames: {scenario: tidy frames}.
        lost: names of tidy files that are not there.
    """
    found = [scenario_data(name, of) for name, of in frames.items()]
    notes = [f"{one['name']}: {one['note']}" for one in found if one["note"]]
    notes += [f"{name}.csv is not there: what it would show is left out." for name in lost]
    body = fill(
        "run.html",
        headlines="\n".join(f"<li>{_headline(one)}</li>" for one in found),
        notes=box("Not all is there", [inline(note) for note in notes]),
        nav="".join(
            [*(f'<a href="#s{i}">{escape(one["name"])}</a>' for i, one in enumerate(found)),
             '<a href="#verdicts">Verdicts</a>', '<a href="#summary">In five sentences</a>']
        ),
        scenarios="\n".join(_section(i, one, scenarios, frames) for i, one in enumerate(found)),
        verdicts=_verdicts(scenarios, frames),
        summary=_summary(scenarios, frames),
    )  # fmt: skip
    return body, {"scenarios": found}


def _recorded(results: Path) -> dict[str, str]:
    """Return the scenarios and kinds that the run's record names; none if it names none."""
    try:
        told = read_json(results / "run.json")["spec"]["scenarios"]
        return {name: of["kind"] for name, of in told.items()}
    except (UserError, LookupError, TypeError):
        return {}


def _headline(one: Mapping[str, Any]) -> str:
    """Return a scenario in one sentence, as HTML: how many methods beat uniform, how many lose to it."""
    name = f"<strong>{escape(one['name'])}</strong>"
    known = {m: cells[0] for m, cells in one["differences"].items() if cells and cells[0] is not None}
    if not one["columns"]:
        return f"{name}: no run is there."
    if not known:
        return f"{name}: there is no method to compare with {YARDSTICK}."
    better = sum(cell["decided"] and cell["mean"] < 0 for cell in known.values())
    worse = sum(cell["decided"] and cell["mean"] > 0 for cell in known.values())
    best = min(known, key=lambda m: known[m]["mean"])
    cell = known[best]
    ends = "" if cell["low"] is None else f", {rounded(cell['low'], 1)} to {rounded(cell['high'], 1)}"
    return (
        f"{name}: of {len(known)} methods, <strong>{better} better</strong> than {YARDSTICK}, "
        f"<strong>{worse} worse</strong>, {len(known) - better - worse} undecided; lowest mean perplexity: "
        f"{escape(best)} ({rounded(cell['mean'], 1, sign=True)} %{ends})."
    )


def _section(i: int, one: Mapping[str, Any], kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> str:
    name = one["name"]
    count = len(tested_domains(frames[name]["metrics"]))
    does = summary.DOES[kinds[name]].format(count) if name in kinds else f"{count} domains"
    level = "" if one["level"] is None else f" Mean perplexity of {YARDSTICK}: {one['level']:.1f}."
    seeds = "one seed, so no intervals" if len(one["seeds"]) == 1 else f"{len(one['seeds'])} seeds"
    if not one["columns"]:
        return fill("nothing.html", i=str(i), name=escape(name), does=escape(does))
    return fill(
        "scenario.html",
        i=str(i),
        name=escape(name),
        does=escape(does),
        seeds=seeds,
        level=level,
        differences=difference_table(one["columns"], one["differences"], one["price"], one["free"]),
        weights=weight_table(one["weights"]["domains"], one["weights"]["mean"]),
    )


def _verdicts(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> str:
    """Return the verdicts on the papers' claims, as HTML."""
    if not _judgeable(kinds, frames):
        return '<p class="absent">No verdicts: too little is known of this run.</p>'
    table = verdicts(kinds, frames)
    columns = ["paper", "claim", "verdict", "measured"]
    rows = [
        [escape(paper), escape(claim), f'<span class="verdict">{sign} {escape(said)}</span>',
         escape(measured or "–")]
        for paper, claim, said, measured in table.csv[columns].itertuples(index=False)
        for sign in [next((s for verdict, s in SIGNS.items() if said.startswith(verdict)), "?")]
    ]  # fmt: skip
    return plain_table(["Paper", "Claim, as tested here", "Verdict in this setting", "Measured"], rows)


def _summary(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> str:
    if not _judgeable(kinds, frames) or all(f["costs"].empty for f in frames.values()):
        return '<p class="absent">No summary: too little is known of this run.</p>'
    return "\n".join(f"<p>{inline(line)}</p>" for line in summary.sentences(kinds, frames))


def _judgeable(kinds: Mapping[str, str], frames: Mapping[str, Frames]) -> bool:
    return bool(kinds) and any(not f["metrics"].empty for f in frames.values())
