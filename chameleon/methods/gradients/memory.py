"""What a step holds for gradients by group, for the plan. Imports no torch."""

from chameleon.mixing.types import StepSize


def held(step: StepSize, groups: int) -> float:
    """Return the bytes of the sums, twice while they are multiplied, and of X and D sorted by group."""
    sums = 2 * groups * 4 * step.width**2 * 4
    return float(sums + step.at_once * step.length * 5 * step.width * step.number)
