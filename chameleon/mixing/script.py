"""A controller written as a script: straight-line code that yields what to train next."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from chameleon.mixing.types import TrainingState

#: Steps, and the weights to train them under.
Segment = tuple[int, dict[str, float]]


class ScriptedController:
    """Plays `script`, which yields segments and is sent the state after each.

    Its state is all that it was told, losses included: told again, the script comes to the same place. So it
    must depend on nothing else (draws of its own come from `MethodInputs.seed`). What an `Observer` is told
    of every step is not told again: a script that observes needs a state of its own.
    """

    def __init__(self) -> None:
        self._told: list[dict[str, Any]] = []
        self._running: Generator[Segment, TrainingState, None] | None = None

    def script(self, state: TrainingState) -> Generator[Segment, TrainingState, None]:
        """Yield segments until the steps are used up; `state` is that of the run's start."""
        raise NotImplementedError

    def next_segment(self, state: TrainingState) -> Segment:
        """Return what the script yields next."""
        heard: list[dict[str, float]] = []
        self._told.append(
            {"step": state.step, "total_steps": state.total_steps, "domains": list(state.domains),
             "realised": dict(state.realised), "losses": heard}
        )  # fmt: skip

        def measured() -> dict[str, float]:
            heard.append(dict(state.validation_losses()))
            return dict(heard[-1])

        return self._send(replace(state, validation_losses=measured))

    def _send(self, state: TrainingState) -> Segment:
        if self._running is None:
            self._running = self.script(state)
            return next(self._running)
        return self._running.send(state)

    def state(self) -> list[dict[str, Any]]:
        """Return what the script was told."""
        return self._told

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Tell a new script the same."""
        self._told = state
        for told in state:
            again = iter(told["losses"])
            self._send(
                TrainingState(
                    told["step"],
                    told["total_steps"],
                    tuple(told["domains"]),
                    lambda again=again: dict(next(again)),  # type: ignore[misc]
                    dict(told["realised"]),
                )
            )
