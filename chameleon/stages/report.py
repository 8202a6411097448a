"""The jobs that gather and show results, with their run records: tidy files, tables, figures, pages.

`partial` does all of it after a run that failed, of what is there and in a folder of its own: no rule's
output, so that no later run takes it for done.
"""

import shutil
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.reporting.catalogue import TIDY, figure_stems, table_stems
from chameleon.reporting.records.reading import listening

Spec = Mapping[str, Any]


def _tidy(results: Path) -> list[Path]:
    return [results / f"{name}.csv" for name in TIDY]


def collect(spec: Spec, results: Path) -> None:
    """Gather results into tidy files."""
    from chameleon.reporting.records.collect import collect as work

    recorder = Recorder("collect", spec)
    with listening(lambda path: recorder.take([path])):
        work(spec, results)
    recorder.outputs = _tidy(results)
    recorder.write(results / "run.json")


def tables(spec: Spec, results: Path, out: Path) -> None:
    """Make tables from the tidy files."""
    from chameleon.reporting.tables import make_tables

    recorder = Recorder("tables", spec, _tidy(results))
    with listening(lambda path: recorder.take([path])):
        make_tables(results, out, spec["scenarios"], spec["unseen"])
    stems = table_stems(spec["scenarios"], spec["unseen"])
    recorder.outputs = [out / f"{stem}.{kind}" for stem in stems for kind in ("csv", "md", "html")]
    recorder.write(out / "run.json")


def figures(spec: Spec, results: Path, out: Path) -> None:
    """Make figures from the tidy files."""
    from chameleon.reporting.figures import make_figures

    recorder = Recorder("figures", spec, _tidy(results))
    make_figures(results, out, spec["scenarios"])
    stems = figure_stems(spec["scenarios"])
    recorder.outputs = [out / f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")]
    recorder.write(out / "run.json")


def summary(spec: Spec, results: Path) -> None:
    """Write the report's first page from the tidy files."""
    from chameleon.reporting.summary import make_summary

    recorder = Recorder("summary", spec, _tidy(results))
    make_summary(results, spec["scenarios"])
    recorder.outputs = [results / "summary.md", results / "summary.html"]
    recorder.write(results / "summary.run.json")


def page(spec: Spec, results: Path) -> None:
    """Write the run's page from the tidy files."""
    from chameleon.pages import run_page

    recorder = Recorder("page", spec, _tidy(results))
    run_page(results, results / "page.html", spec["scenarios"])
    recorder.outputs = [results / "page.html"]
    recorder.write(results / "page.run.json")


def partial(spec: Spec, results: Path, unfinished: Path, threads: int) -> None:
    """Make tidy files, tables, figures and pages of what a failed run left, in `results`/partial.

    Prints what failed and where it lies. The folder appears complete or, if this fails, not at all.

    Args:
        spec: as `specs.collect` makes it.
        results: the results folder.
        unfinished: what Snakemake left undone, as `chameleon.experiment.hooks.ending` wrote it; says also
            which corpora and few-shot tasks there are, and whether models may be scored now.
        threads: threads to use, for few-shot scores.
    """
    from chameleon.core.artifacts import read_json
    from chameleon.pages import run_page
    from chameleon.reporting import partial as pages
    from chameleon.reporting.figures import make_figures
    from chameleon.reporting.records import tidy
    from chameleon.reporting.records.partial import collect_partial
    from chameleon.reporting.records.unfinished import Unfinished
    from chameleon.reporting.tables import make_tables

    recorder = Recorder("partial", spec, [unfinished], threads=threads)
    undone, told = Unfinished.read(unfinished), read_json(unfinished)
    kinds = {name: what["kind"] for name, what in spec["scenarios"].items()}
    unseen = [name for name, what in spec["scenarios"].items() if what["unseen"]]
    out = Path(tempfile.mkdtemp(dir=results, prefix=".partial."))
    try:
        for scenario, few in told["fewshot"].items():
            _score(few, results, out / "fewshot" / f"{scenario}.json", undone, threads, told["score"])
        collect_partial(spec, results, out, undone)
        frames = tidy.of_scenarios(out, kinds)
        pages.make_first_page(out, kinds, undone)
        if any(not f["metrics"].empty for f in frames.values()):
            texts = {c: results / "corpora" / c / "report.json" for c in told["corpora"]}
            lost = {c: undone.state(file) for c, file in texts.items() if not undone.there(file)}
            make_tables(out, out / "tables", kinds, unseen, texts=results, lost=lost)
            make_figures(out, out / "figures", kinds)
            run_page(out, out / "page.html", kinds)
        pages.make_report(out, kinds, unseen)
        recorder.outputs = sorted(out.iterdir())
        recorder.write(out / "run.json")
        final = results / "partial"
        shutil.rmtree(final, ignore_errors=True)
        out.chmod(0o755)
        out.rename(final)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    print(pages.on_screen(frames, undone, final))


def _score(few: Spec, results: Path, out: Path, undone: Any, threads: int, now: bool) -> None:
    """Write the few-shot scores of the models that are there: those scored before, and the others if `now`.

    Scores are kept where the complete run looks for them: nothing is done twice.
    """
    if undone.there(results / "fewshot" / out.name):
        return
    if few["source"] == "items" and not undone.there(results / "fewshot" / "tasks" / "items.json"):
        return
    runs = {(m, n): results / "runs" / few["scenario"] / m / f"seed{n}" / "model"
            for m in few["methods"] for n in few["seeds"]}  # fmt: skip
    wanted = [key for key, folder in runs.items() if undone.there(folder)]
    if not wanted:
        return
    from chameleon.stages.fewshot import score

    for kept_only in [False, True] if now else [True]:
        try:
            score(few, results, out, threads, wanted, kept_only)
            return
        except Exception:
            # Scores are missing then, and the tables say so; the rest of the report must not be.
            traceback.print_exc()
