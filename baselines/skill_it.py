"""Skill-It: favours, round by round, the domains that help where the losses still are high.

Chen et al., "Skill-it! A data-driven skills framework for understanding and training language models" (2023,
arXiv 2307.14430), as ported in Aioli's code. One small run per domain gives the graph A: A_ij is the part of
domain j's initial loss that training on domain i alone took away. The base run is cut into rounds; between
them the validation losses L are measured, and p_i ∝ exp(η Σ_τ Σ_j A_ij L_j(τ)) over the last `window`
measurements. Every round starts from uniform again; the first has p_i ∝ exp(η Σ_j A_ij).

Reads the runs of another method of the scenario (`experts`) and adds none; costs them, and one validation
pass per round, counted with the base run. Numerics: `chameleon.methods.reweighting.skill_it`.

Known differences from the paper:
- Domains stand for skills, validation losses of the domains for those of the skills.
- The graph is that of Aioli's code: relative drops of runs on one domain. The paper has further ways to learn
  one; they are not here.

Known differences from its code:
- The losses before training are what the base run measures at step 0, as the experts' runs do not record
  theirs. That is the loss of an untrained model if the base run starts from one; if it goes on from a
  checkpoint (finetuning) it is the checkpoint's, which may lie below an expert's: such an entry is negative.
- The first round's mixture is part of the answer that is given before anything is measured. So for that round
  alone the graph is relative to the highest loss that any expert has on a domain; from the first update on it
  is relative to the losses of step 0.
- Losses are measured at every update; its code takes those of its last checkpoints, which may be older.
- The rounds of short runs are ours: a sixth of the run each. Runs of 5,000 steps and more update every 500
  steps (two or three domains) or 400 (more), as its scripts do.
- The experts are as long as the method in `experts` makes them; its code's have a length of their own.
"""

from collections.abc import Generator

import numpy as np

from chameleon.methods.reweighting.skill_it import mixture, round_lengths, skills_graph
from chameleon.methods.utilities import expert_losses
from chameleon.mixing import (
    Controller,
    Method,
    MethodInputs,
    MethodResult,
    ScriptedController,
    Segment,
    TrainingState,
    named,
    number,
    register,
    runs_of,
    whole,
)


@register
class SkillIt(Method):
    """Online; a static graph between domains, weights by the losses of the last rounds.

    The reference's settings: eta 0.2, window 3, updates every 500 steps of 5,000 (2 and 3 domains) or 400 of
    40,000 (7).
    """

    name = "skill_it"
    kind = "online"
    sees = ("validation losses",)
    cost = "6 k n_s d_s, and 2 N v a round"
    online = True
    where = "method_params.skill_it."
    parameters = {
        "experts": runs_of("single_domain"),  # the method with one run per domain
        "eta": number(0.2, above=0, most=700),
        "window": whole(3, 1),  # measurements that an update sums
        # Of a round; None: 500 or 400 in a long run (5,000 steps), else a sixth of it.
        "update_steps": whole(None, 1),
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the first round's mixture.

        Diagnostics: `rounds` (steps of each), `validation_passes` and `graph` (domain trained on -> domain
        measured -> A_ij, relative to the experts' highest losses).

        Raises:
            UserError: a domain without an expert.
        """
        names = inputs.names
        if len(names) == 1:
            return inputs.answer([1.0])
        rounds = round_lengths(inputs.total_steps, len(names), inputs.params["update_steps"])
        experts = _experts(inputs, names)
        graph = skills_graph(experts, experts.max(axis=0))
        diagnostics = {
            "rounds": rounds,
            "validation_passes": len(rounds) if len(rounds) > 1 else 0,
            "graph": {d: named(names, row) for d, row in zip(names, graph, strict=True)},
        }
        return inputs.answer(mixture(graph, [], inputs.params["eta"]), diagnostics)

    def controller(self, inputs: MethodInputs) -> Controller:
        return SkillItController(self, inputs)


class SkillItController(ScriptedController):
    """Plays one run. `history` holds the losses of every update (k, by sorted name), `graph` A once known."""

    def __init__(self, method: SkillIt, inputs: MethodInputs) -> None:
        super().__init__()
        self.start = dict(inputs.start or method.weights(inputs).schedule.stages[0].weights)
        self.inputs, self.names = inputs, sorted(inputs.domains)
        self.history: list[np.ndarray] = []
        self.graph: np.ndarray | None = None

    def script(self, state: TrainingState) -> Generator[Segment, TrainingState, None]:
        """Yield the rounds."""
        params, names = self.inputs.params, self.names
        lengths = round_lengths(state.total_steps, len(names), params["update_steps"])
        if len(lengths) > 1:
            self.graph = skills_graph(_experts(self.inputs, names), self._measured(state))
        weights = self.start
        for at, length in enumerate(lengths):
            if at:
                assert self.graph is not None
                self.history.append(self._measured(state))
                recent = self.history[-params["window"] :]
                weights = named(state.domains, mixture(self.graph, recent, params["eta"]))
            state = yield length, weights

    def _measured(self, state: TrainingState) -> np.ndarray:
        losses = state.validation_losses()
        return np.array([losses[name] for name in self.names], dtype=np.float64)


def _experts(inputs: MethodInputs, names: list[str]) -> np.ndarray:
    label = inputs.params["experts"]
    return expert_losses(inputs.read[label], names, f"method skill_it: experts: {label!r}")
