"""The table of verdicts: each claim as a sentence, what was measured, and whether it holds at this scale."""

from collections.abc import Mapping
from typing import Any

from chameleon.reporting.records.missing import Gaps, counted
from chameleon.reporting.records.tidy import Frames, first_seen, markdown
from chameleon.reporting.tables.main import probability
from chameleon.reporting.tables.parts import Table, frame
from chameleon.reporting.verdicts import claims
from chameleon.reporting.verdicts.judging import MARGIN, OPEN

COLUMNS = "paper short claim verdict measured with_more_training probability intervals"


def verdicts(scenarios: Mapping[str, str], frames: Mapping[str, Frames]) -> Table:
    """One row per claim of the abstracts.

    Args:
        scenarios: {name: kind}.
        frames: {scenario: tidy frames}.
    """
    rows: list[dict[str, Any]] = []
    body = []
    for claim, finding in claims.judge(scenarios, frames):
        rows.append({
            "paper": claim.paper, "short": claim.short, "claim": claim.sentence, "verdict": finding.said,
            "measured": finding.measured, "with_more_training": finding.trend,
            "probability": finding.probability, "intervals": finding.intervals,
        })  # fmt: skip
        said = finding.said if finding.verdict == OPEN else f"**{finding.verdict}**"
        p = "–" if finding.probability is None else probability(finding.probability)
        body.append([claim.paper, claim.sentence, said, finding.measured or "–", p, finding.trend or "–"])
    header = ["paper", "claim, as tested here", "verdict at this scale", "measured", "P(claim)",
              "over the second half of training"]  # fmt: skip
    intervals = sum(row["intervals"] for row in rows)
    seeds = first_seen(str(Gaps(f).planned) for f in frames.values())
    caption = (
        "Claims of the papers' abstracts as sentences that can be tested here, and what was measured over "
        f"{' or '.join(seeds)} seed{'' if seeds == ['1'] else 's'}: differences paired by seed with half "
        "their 95 % t interval."
    )
    notes = (
        "Holds: the interval excludes zero in the claimed direction (for `not worse`: it ends below "
        f"{MARGIN:g} %). Does not hold: it excludes zero in the other (or lies above that margin). "
        "Undecided: neither, or a part was not measured. A claim of several parts holds if all hold; costs "
        "are counted, so they have no interval. P(claim): probability "
        "of the claimed direction under the t model. The last column follows the difference in mean "
        "log-perplexity over the second half of training: more training may carry it further. Accuracies are "
        f"over seeds, on these test items. {intervals} intervals were looked at; of 20 without any effect "
        "one would exclude zero by chance."
    )
    if counted(frames)[0]:
        notes += " A claim that needs a run that is missing is undecided, whatever the other runs say."
    table = markdown(header, body, text_columns=len(header))
    return Table(frame(rows, COLUMNS), caption, f"{table}\n\n{notes}")
