"""MEDU: UtiliMax's portfolio, with utilities that somebody rated instead of small runs.

Held et al., "Optimizing pretraining data mixtures with LLM-estimated utility" (2025, arXiv 2501.11747). A
language model is asked how useful samples of domain i are for task j; the mean of its ratings is U_ij. The
weights are those of `baselines/utilimax.py`: of least ‖wᵀU − 1‖₂ + risk(w), with caps on epochs. No model is
trained.

The ratings are yours: a CSV file with a column `name` (the domain) and one column of numbers per task. A
domain may have many rows, one per rated sample, which are averaged; a missing rating is left out. Rows of
other domains are passed over. `scale` says which rating is useless and which is best.

Known differences from the paper:
- Nothing is rated here: no model is asked, and what asking costs is not counted.
- The risk, the caps and what is unknown of both are UtiliMax's.
- How the paper makes numbers of a model's answers is not known to us; here a rating goes from 0 to 1 in
  proportion between the ends of `scale`. Unlike UtiliMax's, utilities are not spread out task by task.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.methods import utilities
from chameleon.methods.regression.sheets import read_table
from chameleon.mixing import Method, MethodInputs, MethodResult, UserError, is_number, register


@register
class Medu(Method):
    """The portfolio of domains of least distance from full rated utility."""

    name = "medu"
    kind = "free"
    sees = ("token counts", "downstream tasks")
    where = "method_params.medu."
    parameters = {
        "ratings": None,  # path of a CSV file; must be given
        "scale": [0.0, 1.0],  # the rating of no use, and the best
        **utilities.PARAMETERS,
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse ratings too that cannot be used."""
        super().check(params, domains, facts)
        _rated(params, sorted(domains))

    def files(self, params: Mapping[str, Any]) -> list[str]:
        return [params["ratings"]] if isinstance(params["ratings"], str) else []

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the portfolio; see `utilities.portfolio` for the diagnostics.

        Raises:
            UserError: as `check`; the caps leave no mixture, or a domain has no tokens.
            ValueError: no token budget was given.
        """
        names = inputs.names
        tasks, utility = _rated(inputs.params, names)
        if len(names) == 1:
            return inputs.answer([1.0])
        return utilities.portfolio(inputs, utility, tasks, self.name)


def _rated(params: Mapping[str, Any], names: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the tasks and U (k x tasks, in [0, 1]).

    Raises:
        UserError: no such file, no table of numbers, a domain without a rating, or a rating off the scale.
    """
    file, scale = params["ratings"], params["scale"]
    if not isinstance(file, str) or not file:
        raise UserError(f"method_params.medu.ratings: {file!r} is not the path of a CSV file of ratings")
    ends = list(scale) if isinstance(scale, list | tuple) else []
    if len(ends) != 2 or not all(map(is_number, ends)) or not ends[0] < ends[1]:
        raise UserError(
            f"method_params.medu.scale: {scale!r} is not two numbers, the rating of no use and a higher best"
        )
    table = read_table(Path(file))
    for column in table.texts:
        table.refuse_text(column)
    if "name" not in table.keys:
        raise UserError(f"{file}: no column 'name', which says the domain of each row")
    tasks, whose = list(table.columns), np.array(table.keys["name"])
    means = np.empty((len(names), len(tasks)))
    for j, (task, ratings) in enumerate(table.columns.items()):
        off = np.flatnonzero((ratings < ends[0]) | (ratings > ends[1]))
        if len(off):
            raise UserError(
                f"{file}: line {table.lines[off[0]]}: column {task!r}: {ratings[off[0]]:g} is not from "
                f"{ends[0]:g} to {ends[1]:g} (method_params.medu.scale)"
            )
        for i, name in enumerate(names):
            mine = ratings[whose == name]
            mine = mine[~np.isnan(mine)]
            if not len(mine):
                raise UserError(f"{file}: column {task!r}: no rating of domain {name!r}")
            means[i, j] = mine.mean()
    return tasks, (means - ends[0]) / (ends[1] - ends[0])
