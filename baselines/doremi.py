"""DoReMi: weights from a proxy trained by Group DRO on its excess loss over a reference model.

Xie et al., 2023 (arXiv 2305.10429). Two runs of the proxy's size: the reference (the scenario's uniform
proxy, which other methods share, or with `steps` a run of its own) and a proxy whose data are drawn uniformly
and whose loss is Σ_i α_i ℓ_i, with α raised step by step where the proxy still loses to the reference
(`chameleon.methods.reweighting.doremi`). The answer is α's mean over the steps.

A uniform reference often needs a second round: with `rounds` > 1 a new reference is trained on the last
answer and a new proxy against it. The runs of all rounds are always made, since the workflow fixes its jobs
beforehand; the answer is that of the first round that moved no weight by as much as `tolerance` from its
reference's, or else of the last.

At the CPU scales the paper's η = 1 is a large step: a new proxy is several nats behind a trained reference,
and a batch has one or two blocks a domain. On seven domains of real text one domain's α reached 0.88 in the
first step and the lead changed hands throughout 500 steps, while the average stayed between 0.03 and 0.26. η
= 1 is kept, as the average is what the method answers with; a smaller `eta` steadies it.

Cost: the reference and the proxies at 6ND, and the reference's forward passes, which the objective counts.

Known differences from the paper:
- The reference is trained on the uniform mixture (the paper: the Pile's default weights, and uniform for
  GLaM), as the ports in DoGE, Aioli and Chameleon do.
- There is one round by default, and never more than `rounds`; the paper's iterated form goes on until no
  weight moves by 1e-3.
- A batch may lack domains (8 blocks for 15 domains in the default transfer); the paper has every domain in
  every batch. An absent domain keeps its last λ; before its first measurement its share does not move.
- The loss of such a batch is Σ α_i ℓ_i over the domains present, not divided by their Σα, which keeps the
  expected gradient's direction.
- How many blocks a domain gives to the run is exact, and they are spread evenly over it; the paper draws its
  minibatches by the uniform weights.
- Reference and proxy are the scenario's proxy scale and by default as long as Chameleon's proxy. In the
  papers the proxies of DoReMi train five times as long as Chameleon's (10,000 against 2,000 steps), as
  `steps` says in `configs/slimpajama.yaml`.

Known differences from its code:
- In its code a domain that no batch has shown yet counts with an excess of log(vocabulary), the average
  includes the uniform start (T + 1 terms), and the loss is weighted by token: Σ ℓ w / Σ w. Here such a
  domain's share does not move, the average has T terms, and the loss is Σ α_i ℓ_i, as in the paper.
  `reference_behaviour: true` follows the code in all three.
- Its default smoothing is 1e-4 in the arguments, 1e-3 in its scripts and in the paper; here it is 1e-3.
- With gradient accumulation its code weights all but one part of a step's batch by older α. Here the
  objective always sees the whole batch at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.mixing import (
    REFERENCE,
    Method,
    MethodInputs,
    MethodResult,
    Objective,
    RunInputs,
    RunSpec,
    StepSize,
    flag,
    number,
    register,
    whole,
)


@register
class Doremi(Method):
    """Average Group-DRO weights of the last round's proxy."""

    name = "doremi"
    version = 2
    kind = "proxy"
    sees = ("train text",)
    cost = "14 n d"
    parameters = {
        "eta": number(1.0, least=0),  # step size η of the exponentiated gradient
        "smoothing": number(1e-3, least=0, most=1),  # c, share of the uniform mixture in every step
        "rounds": whole(1, 1, most=1000),
        # Optimizer steps of references and proxies; None: as many as the scenario's proxy.
        "steps": whole(None, 1),
        # A round has settled when no weight is further than this from its reference's.
        "tolerance": number(1e-3, least=0),
        "reference_behaviour": flag(False),  # the published code's, where it differs from the paper
    }

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return a proxy per round, and the reference before it where that is not the scenario's proxy.

        With `steps` the first reference too is a run of its own, as long as its proxy: an excess over a model
        that saw less or more text would not be what the domain still has to give. So too where
        `steps` is the scenario's own number, which a method is not told: the numbers are the same then.
        """
        uniform, steps = {d: 1 / len(domains) for d in domains}, params["steps"]
        first = REFERENCE if steps is None else _reference(1)
        runs = [] if steps is None else [RunSpec(first, uniform, steps)]
        runs.append(RunSpec(_proxy(1), uniform, steps, after=(first,), objective=True))
        for n in range(2, params["rounds"] + 1):
            runs.append(RunSpec(_reference(n), None, steps, after=(_proxy(n - 1),)))
            runs.append(RunSpec(_proxy(n), uniform, steps, after=(_reference(n),), objective=True))
        return runs

    def run_weights(self, inputs: RunInputs) -> dict[str, float]:
        """Return the last proxy's answer: the mixture of the next round's reference."""
        (previous,) = inputs.run.after
        average = inputs.earlier[previous].outcome["average"]
        return {d: average[d] for d in inputs.domains}

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the Group-DRO objective against the run's reference model."""
        from chameleon.methods.reweighting.doremi import DoremiObjective

        (reference,) = inputs.run.after
        given = {key: inputs.params[key] for key in ("eta", "smoothing", "reference_behaviour")}
        return DoremiObjective(inputs.domains, inputs.earlier[reference].model_dir, **given)

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of the reference model and of the logits that both models' token losses take.

        In parts, the reference has read the batch before the proxy's logits are kept. In 16 bits their
        gradient is a matrix of its own.
        """
        logits = step.at_once * step.length * step.vocabulary * step.number
        return 4.0 * step.parameters + logits * (2 if step.parts == 1 or step.number == 2 else 1)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the answer of the first round that settled, or of the last."""
        outcomes = [inputs.runs[_proxy(n)].outcome for n in range(1, inputs.params["rounds"] + 1)]
        averages = [{d: float(o["average"][d]) for d in inputs.domains} for o in outcomes]
        used = [{d: 1 / len(inputs.domains) for d in inputs.domains}, *averages]
        moved = [max(abs(a[d] - r[d]) for d in a) for a, r in zip(averages, used, strict=False)]
        settled = [n for n, m in enumerate(moved) if m < inputs.params["tolerance"]]
        chosen = settled[0] if settled else len(outcomes) - 1
        outcome = outcomes[chosen]
        diagnostics = {
            "round": chosen + 1,
            "settled": bool(settled),
            "moved_per_round": moved,
            "trajectory": outcome["trajectory"],
            "final_weights": outcome["final"],
            "excess": outcome["excess"],
        }
        return inputs.answer(averages[chosen], diagnostics)


def _reference(round_number: int) -> str:
    return f"reference_{round_number}"


def _proxy(round_number: int) -> str:
    return "proxy" if round_number == 1 else f"proxy_{round_number}"
