"""What `chameleon.integrity.reads` says that tables and figures read: one kind of rows is moved at a time."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from suite_results import KINDS, NEW, OLD, PROGRAMS, TASKS, suite
from tidy_results import write

from chameleon.integrity import reads
from chameleon.pages.run import content
from chameleon.reporting import catalogue
from chameleon.reporting.figures import DRAWINGS
from chameleon.reporting.records import tidy
from chameleon.reporting.summary import sentences
from chameleon.reporting.tables import BUILDERS
from chameleon.reporting.tables.verdicts import verdicts
from chameleon.sensitivity import catalogue as study

METHODS = ("uniform", "doge", "regmix", "aioli", "chameleon", "chameleon_retrained", "chameleon_ft")
SCENARIOS = {name: kind for name, kind in KINDS.items() if name != "finetune_languages"}
#: What is measured, and the steps at which.
MOVED = ("value", "weight", "tokens", "flops", "seconds", "loss", "step")


#: Enough of everything. Pretraining keeps its seven domains: the printed numbers are beside these.
LEFT_OUT = {*OLD[2:], *NEW[2:], *PROGRAMS[2:], *list(TASKS)[2:]}


def few(row: dict[str, Any]) -> bool:
    """Return whether a row stays: some domains, tasks and steps do."""
    dense = row.get("step", 0) % 500 and "weight" in row
    domains = {row.get("domain"), row.get("domain_or_task"), row.get("other")}
    return not dense and not domains & (LEFT_OUT - set(OLD) if row["scenario"] == "pretrain" else LEFT_OUT)


class Frames(dict[str, Any]):
    """Tidy frames that note which of them are looked at."""

    seen: set[str]

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    whole = suite((0, 1)).items()
    rows = {name: [r for r in found if r["method"] in METHODS and few(r)] for name, found in whole}
    for row in rows["costs"]:
        # The summary gives hours with one decimal.
        row["seconds"] *= 1000
    # Some mixture must be another's for the main table to say so.
    for row in rows["weights"]:
        if (row["scenario"], row["method"]) == ("pretrain", "doge"):
            row["weight"] = 1 / len(OLD)
    return tidy.of_scenarios(write(tmp_path_factory.mktemp("tidy"), rows), SCENARIOS)


def kinds(name: str, frame: pd.DataFrame) -> list[str]:
    return [reads.kind(name, row) for row in frame.itertuples(index=False)]


def moved(frames: dict[str, pd.DataFrame], kind: str) -> dict[str, pd.DataFrame]:
    """Return the frames with all numbers of one kind of rows changed, each by another factor."""
    name = next(name for name, its in reads.KINDS.items() if kind in its)
    frame = frames[name].copy()
    chosen = np.array([k == kind for k in kinds(name, frame)])
    # Far enough to decide what was undecided, and nothing by the same factor.
    far = frame["method"].map({"uniform": 1.0, "chameleon": 3.0}).fillna(2.0)
    far += np.random.default_rng(0).random(len(frame)) / 99
    factors = np.where(chosen, far, 1.0)
    for column in MOVED:
        if column in frame:
            frame[column] = (frame[column] * factors).astype(frame[column].dtype)
    return {**frames, name: frame}


def changes(make: Any, frames: dict[str, pd.DataFrame]) -> set[str]:
    """Return the kinds of rows that change what is made from the frames."""
    watched = Frames(frames)
    watched.seen = set()
    before = make(watched)
    found = set()
    for name in watched.seen & set(reads.KINDS):
        for kind in dict.fromkeys(kinds(name, frames[name])):
            if make(moved(frames, kind)) != before:
                found.add(kind)
    return found


def there(frames: dict[str, pd.DataFrame], stated: str) -> set[str]:
    """Return the kinds that a table is said to read, those that the scenario has rows of."""
    have = {kind for name in tidy.COLUMNS for kind in kinds(name, frames[name])}
    return have & set(stated.split())


def drawn(figure: Figure) -> Iterator[Any]:
    """Yield what a figure shows: lines, bars, points, colours, words, without rendering it."""
    for artist in figure.findobj():
        if isinstance(artist, Line2D):
            yield np.asarray(artist.get_xydata()).tolist()
        elif isinstance(artist, Rectangle):
            yield artist.get_bbox().bounds
        elif isinstance(artist, Text):
            yield artist.get_text()
        elif isinstance(artist, AxesImage):
            yield np.asarray(artist.get_array()).tolist()
        elif hasattr(artist, "get_offsets"):
            yield np.asarray(artist.get_offsets()).tolist()
            yield [path.vertices.tolist() for path in artist.get_paths()]


def once(names: Callable[[str], tuple[str, ...]]) -> list[tuple[str, str]]:
    """Return (scenario, name) of each table or figure, in the first scenario that has it."""
    found = {name: scenario for scenario in reversed(SCENARIOS) for name in names(SCENARIOS[scenario])}
    return [(scenario, name) for name, scenario in found.items()]


@pytest.mark.parametrize(("scenario", "name"), once(catalogue.tables))
def test_a_table_reads_what_is_said(frames, scenario, name):
    def make(given: Any) -> str:
        table = BUILDERS[name](scenario, given)
        return f"{table.csv.to_csv()}{table.caption}{table.body}"

    assert changes(make, frames[scenario]) == there(frames[scenario], reads.TABLES[name])


@pytest.mark.parametrize(("scenario", "name"), once(catalogue.figures))
def test_a_figure_reads_what_is_said(frames, scenario, name):
    def make(given: Any) -> str:
        return repr(list(drawn(DRAWINGS[name](scenario, given))))

    assert changes(make, frames[scenario]) == there(frames[scenario], reads.FIGURES[name])


def with_demix(frames):
    """Return the frames of pretraining with a method that foretells, as a claim on such methods asks for."""
    metrics, said = frames["metrics"], frames["diagnostics"]
    told = said[(said["method"] == "regmix") & (said["quantity"] == "foretold_loss")]
    more = {
        "metrics": metrics[metrics["method"] == "aioli"],
        # So near each other that moving them changes their order.
        "diagnostics": told.assign(value=6 + 1e-4 * np.arange(len(told))),
    }
    return {**frames, **{name: pd.concat([frames[name], rows.assign(method="demix")], ignore_index=True)
                         for name, rows in more.items()}}  # fmt: skip


@pytest.mark.slow
def test_what_is_over_all_scenarios_reads_what_is_said(frames):
    def shown(given: Any) -> str:
        return verdicts(SCENARIOS, given).csv.to_csv()

    def said(given: Any) -> str:
        return "\n".join(sentences(SCENARIOS, given))

    def looked_at(given: Any) -> str:
        # A page of the one scenario that is moved: what is said over all is in the two above.
        return repr(content({name: SCENARIOS[name] for name in given}, given, []))

    frames = {**frames, "pretrain": with_demix(frames["pretrain"])}
    for stem, make in (("tables/verdicts", shown), ("summary", said), ("page", looked_at)):
        for scenario, kind in SCENARIOS.items():

            def one(given: Any, scenario: str = scenario, make: Any = make) -> str:
                return make({**({} if make is looked_at else frames), scenario: given})

            read = there(frames[scenario], reads.OVERALL[stem][kind])
            # The summary has verdicts alone: two seeds leave what is foretold undecided wherever it is moved.
            quiet = {"foretold"} if stem == "summary" else set()
            assert changes(one, frames[scenario]) - quiet == read - quiet, (stem, scenario)


def test_everything_in_the_catalogue_is_covered():
    assert set(reads.TABLES) == set(catalogue.TABLES) and set(reads.FIGURES) == set(catalogue.FIGURES)
    assert set(reads.OVERALL) == {
        *(f"tables/{name}" for name in catalogue.OVERALL_TABLES), "summary", "page"}  # fmt: skip
    assert set(reads.STUDY_TABLES) == set(study.TABLES) and set(reads.STUDY_FIGURES) <= set(study.FIGURES)
    assert set(reads.KINDS) == {*catalogue.TIDY, *study.TIDY}
    for one, other in pairwise(reads.KINDS.values()):
        assert not set(one) & set(other)
