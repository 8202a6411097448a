"""The table of verdicts: each claim as a sentence, what was measured, and the verdict in this setting."""

from collections.abc import Mapping
from typing import Any

from chameleon.reporting.records.missing import Gaps, counted
from chameleon.reporting.records.tidy import Frames, first_seen, markdown
from chameleon.reporting.tables.parts import Table, frame, probability
from chameleon.reporting.verdicts import claims
from chameleon.reporting.verdicts.budgets import setting
from chameleon.reporting.verdicts.findings import OPEN, SET, Runs
from chameleon.reporting.verdicts.judging import MARGIN

COLUMNS = "paper short claim verdict measured setting probability intervals"


def verdicts(scenarios: Mapping[str, str], frames: Mapping[str, Frames]) -> Table:
    """One row per claim of the abstracts.

    Args:
        scenarios: {name: kind}.
        frames: {scenario: tidy frames}.
    """
    rows: list[dict[str, Any]] = []
    body = []
    runs = Runs(scenarios, frames)
    for claim, finding in claims.judge(scenarios, frames):
        limits = setting(runs, finding.needed) if finding.measured else ""
        rows.append({
            "paper": claim.paper, "short": claim.short, "claim": claim.sentence, "verdict": finding.said,
            "measured": finding.measured, "setting": limits,
            "probability": finding.probability, "intervals": finding.intervals,
        })  # fmt: skip
        said = finding.said if finding.verdict == OPEN else f"**{finding.verdict}**"
        p = "–" if finding.probability is None else probability(finding.probability)
        body.append([claim.paper, claim.sentence, said, finding.measured or "–", p, limits or "–"])
    header = ["paper", "claim, as tested here", "verdict in this setting", "measured", "P(claim)",
              "setting: domains and budgets"]  # fmt: skip
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
        "Undecided: neither, or a part was not measured. A claim of several intervals holds if all hold and "
        "does not if one does not, each after Holm's correction over the intervals of that claim; the claims "
        f"themselves are not corrected for their number. {SET.capitalize()}: steps, scales and numbers of "
        "windows decide it, not training, so it neither holds nor fails; the keys and the paper's number "
        "stand beside ours. P(claim): probability of the claimed direction under the t model, of claims of "
        "one interval. A verdict is on three things together: the method's published rule, this suite's "
        "defaults for it at this number of domains, and these budgets; it is not on the method at other "
        "parameters or budgets, nor on what longer training would bring: all numbers are of full test sets "
        f"at the end of training. Accuracies are over seeds, on these test items. {intervals} intervals were "
        "looked at."
    )
    if counted(frames)[0]:
        notes += " A claim that needs a run that is missing is undecided, whatever the other runs say."
    table = markdown(header, body, text_columns=len(header))
    return Table(frame(rows, COLUMNS), caption, f"{table}\n\n{notes}")
