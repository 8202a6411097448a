"""λ and T of Chameleon as users write them, and what they come to for given embeddings.

Shared by the benchmark's method and by `chameleon weigh`. Numbers as in the paper's code, or two forms that
keep their meaning elsewhere: λ as a share of the affinity's trace (whatever the size of a model's hidden
states), T in proportion to the number of domains (scores sum to one, so 1/s grows with k).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.errors import UserError, choices
from chameleon.mixing.parameters import check_number, check_whole

#: Softmax temperature of each mode, those of the reference code.
TEMPERATURES = {"pretrain": 5.0, "finetune": 0.2}


def temperature_of(given: Any, mode: Any, k: int, where: str) -> float:
    """Return the softmax temperature for k domains.

    Args:
        given: a number, `{at: 5.0, of: 7}`, or None for the mode's own.
        mode: `pretrain` or `finetune`.
        k: number of domains.
        where: what the keys `mode` and `temperature` stand in, for messages.

    Raises:
        UserError: another mode, or neither of these.
    """
    if not isinstance(mode, str) or mode not in TEMPERATURES:
        raise UserError(f"{where}mode: {choices(mode, TEMPERATURES)}")
    given, key = TEMPERATURES[mode] if given is None else given, f"{where}temperature"
    if not isinstance(given, Mapping):
        check_number(key, given, above=0)
        return float(given)
    if set(given) != {"at", "of"}:
        raise UserError(f"{key}: {dict(given)!r} is neither a number nor {{at: a number, of: domains}}")
    check_number(f"{key}.at", given["at"], above=0)
    check_whole(f"{key}.of", given["of"], 1)
    return float(given["at"]) * k / int(given["of"])


def check_ridge(given: Any, where: str) -> None:
    """Refuse (UserError) what is neither a positive number nor `{of_trace: share}`."""
    key = f"{where}ridge"
    if not isinstance(given, Mapping):
        check_number(key, given, above=0)
    elif set(given) != {"of_trace"}:
        raise UserError(f"{key}: {dict(given)!r} is neither a number nor {{of_trace: a number}}")
    else:
        check_number(f"{key}.of_trace", given["of_trace"], above=0)


def ridge_of(given: Any, embeddings: np.ndarray, centre: bool) -> float:
    """Return λ for k x d embeddings.

    A share of the trace is of the affinity's, ‖X‖² (taken as 1 for domains that do not differ at all): kλ is
    that share.
    """
    if not isinstance(given, Mapping):
        return float(given)
    x = np.asarray(embeddings, dtype=np.float64)
    trace = float(((x - x.mean(axis=0)) ** 2).sum() if centre else (x**2).sum())
    return float(given["of_trace"]) * (trace if trace > 0 else 1.0) / len(x)
