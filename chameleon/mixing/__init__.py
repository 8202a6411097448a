"""What a mixing method is: everything that the author of one imports.

`schedule` and `types` hold what crosses the interface, `method` the interface itself, `parameters` what
methods take, `kept` what goes on when a run was cut off, `registry` how methods are found. Imports no torch.
"""

# ruff: noqa: F401
from chameleon.core.errors import UserError, choices
from chameleon.mixing.kept import Kept
from chameleon.mixing.method import Controller, Method, Objective, Observer
from chameleon.mixing.parameters import (
    MEAN,
    Parameter,
    check_flag,
    check_label,
    check_number,
    check_whole,
    check_word,
    flag,
    is_number,
    number,
    one_of,
    runs_of,
    target,
    weights_of,
    whole,
)
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
    named,
)
