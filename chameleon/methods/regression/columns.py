"""Tell weights from other numbers in a table of mixtures: its rows are mixtures without what is no weight.

Used by `chameleon.methods.regression.tables`. Experiment trackers write settings and results of the runs
(seed, learning rate, tokens, losses) beside the weights; taken for domains, they would be proposed.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.regression.sheets import Table

#: What RegMix wraps around a domain's name, taken off from the outside in.
PREFIXES = ("metric/", "train_", "the_pile_")
SUFFIXES = ("_val_loss",)
#: Published weights are rounded to three decimals; rows whose sum is further from one are no mixtures.
ROUNDING = 0.02
#: Settings and results that stand beside weights. A domain may be called so too: it is one where the rows are
#: mixtures with it only.
SETTINGS = {
    "seed", "random_seed", "lr", "learning_rate", "max_lr", "min_lr", "weight_decay", "warmup",
    "warmup_steps", "step", "steps", "num_steps", "max_steps", "iteration", "iterations", "epoch", "epochs",
    "batch", "batch_size", "global_batch_size", "tokens", "num_tokens", "n_tokens", "train_tokens",
    "total_tokens", "token_budget", "flops", "params", "num_params", "n_params", "parameters", "size",
    "model_size", "width", "depth", "d_model", "n_layer", "context", "context_length", "seq_len",
    "temperature", "date", "time", "timestamp", "runtime", "seconds", "duration", "created", "total", "sum",
    "row_sum", "loss", "val_loss", "valid_loss", "train_loss", "mean_loss",
}  # fmt: skip
_RESULTS = ("metric/", "eval/", "metrics/"), ("_loss", "_bpb", "_ppl", "_perplexity", "_acc", "_accuracy")


def weights_of(
    table: Table, rows: Sequence[int], runs: Sequence[str]
) -> tuple[list[str], np.ndarray, list[str]]:
    """Return the k domains of a table, some rows' mixtures (n x k), and notes.

    These say which columns were left out, and whether per cent were read.

    Args:
        table: as read.
        rows: n rows.
        runs: their n names, for messages.

    Raises:
        UserError: a row is no mixture (the message names the run and the column), a weight is text, or there
            is one domain only.
    """
    for column, text in table.texts.items():
        if text.meant:
            table.refuse_text(column)
    names = list(table.columns)
    x = np.stack([table.columns[name] for name in names], axis=1)[list(rows)]
    kept, notes = _weights_alone(names, x, table)
    names, x = [names[i] for i in kept], x[:, kept]
    if _sums_to(x, 100.0):
        x = x / 100
        notes.append(f"read as per cent: the weights of {table.path.name}: its rows sum to 100")
    for run, row in zip(runs, x, strict=True):
        _check_row(table, run, row, names)
    domains = domain_names(names)
    if len(domains) < 2:
        raise UserError(f"{table.path}: {domains[0]!r} is the only domain: there is nothing to mix")
    return domains, x, notes


def domain_names(columns: list[str]) -> list[str]:
    """Return the domains that mixture columns are of.

    A prefix or suffix goes only if every column has it: `train_logs` beside `web` is a domain's own name.
    """
    names = list(columns)
    for affix in PREFIXES:
        if len(names) > 1 and all(name.startswith(affix) and name != affix for name in names):
            names = [name.removeprefix(affix) for name in names]
    for affix in SUFFIXES:
        if len(names) > 1 and all(name.endswith(affix) and name != affix for name in names):
            names = [name.removesuffix(affix) for name in names]
    return names


def _weights_alone(names: list[str], x: np.ndarray, table: Table) -> tuple[list[int], list[str]]:
    """Return the positions of the columns that are weights, and notes on those that are not."""
    everything = list(range(len(names)))
    kept = next((guess for guess in _guesses(names, x) if _fits(x[:, guess])), everything)
    notes = []
    for left, why in (
        (list(table.texts), "text"),
        (list(table.blanks), "empty"),
        ([names[i] for i in everything if i not in kept], "no weights; the rows sum to one without"),
    ):
        if left:
            said = f"column{'s' if len(left) > 1 else ''} {', '.join(map(repr, left))}"
            notes.append(f"left out: {said} of {table.path.name}: {why}")
    return kept, notes


def _guesses(names: list[str], x: np.ndarray) -> Iterator[list[int]]:
    """Yield which columns may be the weights, the likeliest first."""
    everything = list(range(len(names)))
    plain = [i for i in everything if not _is_setting(names[i])]
    yield plain
    yield everything
    if len(x) < 2:  # one row fits too easily
        return
    # In one row it would be a slip, and what adds next to nothing to any row may well be a share.
    beyond = ((x > 1) | (x < 0)).mean(axis=0) >= 0.5
    much = np.nanmax(x, axis=0, initial=0) > 2 * ROUNDING
    for columns in (plain, everything):
        yield [i for i in columns if not beyond[i]]
    for columns in (plain, everything):
        without_one = [[j for j in columns if j != i] for i in columns if much[i]]
        fitting = [guess for guess in without_one if _fits(x[:, guess])]
        if len(fitting) == 1:
            yield fitting[0]


def _fits(x: np.ndarray) -> bool:
    """Return whether every row is a mixture, in shares or per cent."""
    return _sums_to(x, 1.0) or _sums_to(x, 100.0)


def _sums_to(x: np.ndarray, total: float) -> bool:
    if not x.shape[1] or not np.isfinite(x).all() or (x < 0).any():
        return False
    return bool((np.abs(x.sum(axis=1) - total) <= ROUNDING * total).all())


def _check_row(table: Table, run: str, row: np.ndarray, names: list[str]) -> None:
    wrong = f"{table.path}: run {run}: the weights are no mixture:"
    for name, weight in zip(names, row.tolist(), strict=True):
        if np.isnan(weight):
            raise UserError(f"{wrong} column {name!r} is empty")
        if not 0 <= weight < np.inf:
            raise UserError(f"{wrong} column {name!r} holds {weight:g}")
    if abs(row.sum() - 1) > ROUNDING:
        largest = names[int(row.argmax())]
        also = f"; column {largest!r} holds {row.max():.4g}" if row.max() > 1 else ""
        raise UserError(f"{wrong} they sum to {row.sum():.4g}{also}")


def _is_setting(column: str) -> bool:
    plain = "_".join(column.casefold().replace("-", " ").replace("_", " ").split())
    starts, ends = _RESULTS
    return plain in SETTINGS or plain.startswith(starts) or plain.endswith(ends)
