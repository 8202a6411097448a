"""What a mixing method is: everything that the author of one imports.

`schedule` and `types` hold what crosses the interface, `method` the interface itself, `parameters` the checks
that methods share, `registry` how methods are found. Imports no torch.
"""

from chameleon.core.errors import UserError, choices
from chameleon.mixing.method import Controller, Method, MixingMethod, Objective, Observer
from chameleon.mixing.parameters import check_flag, check_label, check_number, check_whole, is_number
from chameleon.mixing.registry import register
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixing.script import ScriptedController, Segment
from chameleon.mixing.types import (
    REFERENCE,
    MethodInputs,
    MethodResult,
    RunInputs,
    RunResult,
    RunSpec,
    StepInfo,
    StepSize,
    TrainingState,
)

__all__ = [
    "REFERENCE",
    "Controller",
    "Method",
    "MethodInputs",
    "MethodResult",
    "MixingMethod",
    "MixtureSchedule",
    "Objective",
    "Observer",
    "RunInputs",
    "RunResult",
    "RunSpec",
    "ScriptedController",
    "Segment",
    "Stage",
    "StepInfo",
    "StepSize",
    "TrainingState",
    "UserError",
    "check_flag",
    "check_label",
    "check_number",
    "check_whole",
    "choices",
    "is_number",
    "register",
]
