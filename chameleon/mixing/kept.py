"""What an objective or a controller keeps, so that a run that was cut off goes on."""

import copy
from collections.abc import Mapping
from typing import Any


class Kept:
    """The `state` and `restore` of an objective or a controller, from the names of its attributes.

    Numbers, strings, lists, dicts, arrays and tensors are kept as they are, parts with a state by that.
    """

    #: Attributes that later steps depend on.
    kept: tuple[str, ...] = ()

    def state(self) -> Any:
        """Return everything that later steps depend on."""
        parts = {name: getattr(self, name) for name in self.kept}
        return {name: part.state() if hasattr(part, "state") else part for name, part in parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name in self.kept:
            if hasattr(part := getattr(self, name), "restore"):
                part.restore(state[name])
            else:
                setattr(self, name, copy.deepcopy(state[name]))
