"""What a partial report has beyond a complete one: a first page that says what failed, and all on one page.

After a run of Snakemake that ended with failures. Snakemake's own report needs every file; `report.html`
stands in for it, with the tables and figures of what is there. A few lines of it end the run on the screen.
"""

import html
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from chameleon.core import artifacts
from chameleon.reporting import catalogue, summary
from chameleon.reporting.pages import page
from chameleon.reporting.records import tidy
from chameleon.reporting.records.missing import Gaps, counted
from chameleon.reporting.records.tidy import Frames, markdown
from chameleon.reporting.records.unfinished import Job, Unfinished

#: Kinds of failures that the screen has room for.
ON_SCREEN = 8
#: Jobs of one kind of failure that are named.
NAMED = 3


def make_first_page(out: Path, scenarios: Mapping[str, str], unfinished: Unfinished) -> None:
    """Write `summary.md` and `.html`: what failed, in which job, its log, how to go on; then the summary.

    Args:
        out: folder of the tidy files.
        scenarios: {name: kind}, in reading order.
        unfinished: what Snakemake left undone.
    """
    frames = tidy.of_scenarios(out, scenarios)
    parts = failures(frames, unfinished)
    causes = [[scenario, cause] for scenario, f in frames.items() for cause in Gaps(f).causes()]
    if causes:
        parts.append(markdown(["scenario", "missing, and why"], causes, text_columns=2))
    if any(not f["metrics"].empty for f in frames.values()):
        parts += summary.sentences(scenarios, frames)
    text = "\n\n".join(parts) + "\n"
    artifacts.write_text(out / "summary.md", text)
    artifacts.write_text(out / "summary.html", page("Summary of a partial report", text))


def failures(frames: Mapping[str, Frames], unfinished: Unfinished) -> list[str]:
    """Return what failed, as sentences and a table of the failed jobs."""
    lost, planned = counted(frames)
    tests = [job for job in unfinished.jobs.values() if job.rule == "evaluate"]
    rows = [
        [job.name, unfinished.why(job), f"`{job.log}`" if job.log else "–",
         str(len(unfinished.lost(job, tests)))]
        for job in unfinished.failed
    ]  # fmt: skip
    said = f"{lost} of {planned} runs are missing" if lost else "no run is missing"
    jobs = f"{len(rows)} job{'' if len(rows) == 1 else 's'} failed"
    head = (
        f"**This is a partial report:** {jobs}, and {said}. Tables and figures are of what is there; a cell "
        "that is missing says so, and a mean over fewer seeds than planned gives their number."
    )
    again = (
        f"**How to go on:** mend the cause, then give the same command again: `{unfinished.again}`. It does "
        "what is missing and nothing twice, makes the complete tables, and removes this partial report."
    )
    return [head, markdown(["failed job", "why", "log", "runs missing for it"], rows, text_columns=3), again]


def on_screen(frames: Mapping[str, Frames], unfinished: Unfinished, out: Path) -> str:
    """Return what ends the run on the screen: each kind of failure once, however many jobs it befell."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in unfinished.failed:
        # The same mistake names each job's own files: numbers and names of runs aside, it is one.
        groups.setdefault((job.rule, _alike(unfinished.why(job), job)), []).append(job)
    lines = []
    for jobs in list(groups.values())[:ON_SCREEN]:
        names = ", ".join(job.name for job in jobs[:NAMED])
        more = f" and {len(jobs) - NAMED} more like it" if len(jobs) > NAMED else ""
        lines.append(f"  failed: {names}{more}: {unfinished.why(jobs[0])}")
        if jobs[0].log:
            lines.append(f"    {jobs[0].log}")
    if len(groups) > ON_SCREEN:
        lines.append(f"  and {sum(map(len, list(groups.values())[ON_SCREEN:]))} more failed jobs")
    lost, planned = counted(frames)
    there = any(not f["metrics"].empty for f in frames.values())
    what = "tables and figures of what is there" if there else "what failed (no run is there yet)"
    return "\n".join([
        f"{len(unfinished.failed)} failed, {lost} of {planned} runs are missing:", *lines,
        f"Partial report, {what}: {out}/report.html, {out}/summary.md",
        f"The same command goes on where it stopped: {unfinished.again}",
    ])  # fmt: skip


def _alike(why: str, job: Job) -> str:
    names = "|".join(re.escape(value) for value in job.wildcards.values())
    return re.sub(r"\d+", "#", re.sub(rf"\b({names})\b", "*", why) if names else why)


def make_report(out: Path, scenarios: Mapping[str, str], unseen: Collection[str]) -> None:
    """Write `report.html`: the first page, then tables and figures in the order of the complete report.

    Args:
        out: folder of the partial report.
        scenarios: {name: kind}, in reading order.
        unseen: names of those that have losses on unseen domains.
    """
    blocks = [(out / "summary.html").read_text(encoding="utf-8")]
    for heading, file in _items(out, scenarios, unseen):
        blocks.append(f"<h2>{html.escape(heading)}</h2>")
        if file.suffix == ".html":
            text = file.read_text(encoding="utf-8")
            blocks.append(text.split("<body>", 1)[1].rsplit("</body>", 1)[0].strip())
        else:
            look = f'src="figures/{file.name}" alt="{html.escape(heading)}" style="max-width:100%"'
            blocks.append(f"<p><img {look}></p>")
    head, end = blocks[0].rsplit("</body>", 1)
    artifacts.write_text(out / "report.html", "\n".join([head, *blocks[1:], "</body>" + end]))


def _items(out: Path, scenarios: Mapping[str, str], unseen: Collection[str]) -> Iterable[tuple[str, Path]]:
    """Yield (heading, table's page or figure) of all that there is, in the complete report's order."""
    found = []
    for form, stems, kind in (
        ("table", catalogue.table_stems(scenarios, unseen), "html"),
        ("figure", catalogue.figure_stems(scenarios), "png"),
    ):
        for stem, (name, scenario) in stems.items():
            file = out / f"{form}s" / f"{stem}.{kind}"
            if file.exists():
                place = catalogue.place(name, scenario, scenarios.get(scenario or ""), form)
                key = (place.category, place.subcategory or "", scenario or "", place.shows)
                found.append((key, file))
    for key, file in sorted(found, key=lambda item: item[0]):
        yield f"{key[0]}: {file.stem.replace('_', ' ')}", file
