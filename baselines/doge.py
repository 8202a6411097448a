"""DoGE: weights from a proxy run in which domains are judged by their gradients' agreement with a target's.

Fan et al., 2023 (arXiv 2310.15393). One run of the proxy's size on uniformly drawn data. Every step computes
the gradients g_i of the domains' mean losses, moves α_j ∝ α_j e^{η_t W_j / μ} and trains on Σ_i α_i g_i. The
answer is α's mean over the steps, by which the base run's data are drawn.

Universal form (`target: null`): W_j = ⟨g_j, Σ_i g_i⟩ over all domains. Out-of-domain form (`target:
<domain>`): W_j = ⟨g_j, g_target⟩; the target is read by the proxy run's batches, but moves neither its model
nor gets any weight.

`target_batch`, of the universal form: "independent" (the default) measures Σ_i g_i on a second batch, drawn
anew every step, all domains in equal parts; the published universal configs have such a pool (`mix`). "same"
takes the batch's own blocks. Then W_j holds ⟨g_j, g_j⟩, and with one or two blocks a domain that is the
variance of a gradient, not agreement: weights go to the domain with the noisiest gradients. The outcome's
`self_share` says how large that part is, `score_error` how far the mean score can be told from noise.

`variant`: "paper" (the default) is the formula as it stands. "reference" is the published code's update: each
gradient is clipped to `max_grad_norm` (its universal configs: 5.0; its out-of-domain ones: 1.0), W is divided
by the mean norm and clipped to `score_min` to `score_max` (so disagreement counts as no agreement), and the
clipped gradients train the model; its target is the mean of the second batch, not k times it.

Step size. η_t and μ are the papers': 5e-4, the peak of their AdamW's rate, and 0.01 (their universal form;
0.05 out of domain). `step_size` is 5e-4 whatever the recipe's rate, times the schedule's factor: the CPU
scales train with Muon at 0.02, a rate in other units. null: the recipe's own rate, for scales with the
papers' optimizer.

Cost: 6ND, as much again for the independent batch, and the inner products
(`chameleon.methods.reweighting.domain_gradients`), which the objective counts.

Known differences from the paper:
- η_t is `step_size`, 5e-4 times the schedule's factor, whatever the rate that trains the model.
- The target's gradient is measured on a batch of its own (`target_batch: same` for the formula to the
  letter, which then holds each domain's own square).
- The model is trained by the scale's optimizer, at the CPU scales Muon; the paper's is AdamW.
- With more domains than blocks in a batch (15 and 8 in the default transfer) a step sees some of the domains
  only; the paper has every domain in every batch. The target's batch then holds some of the domains too, in
  turns drawn anew every step: its mean is unbiased.
- A domain absent from a batch keeps its last W_j; before its first one its share does not move. A batch
  without the target of the out-of-domain form moves no weight. The step's gradient is Σ α_i g_i over the
  domains present, not divided by their Σα.
- The proxy is the scenario's and by default as long as Chameleon's. In the papers DoGE's proxy trains five
  times as long as Chameleon's (10,000 against 2,000 steps), as `steps` says in `configs/slimpajama.yaml`.

Known differences from its code:
- The pool `mix` of its universal configs is text that no domain trains on; here the target's blocks come from
  the domains' train splits, drawn independently of the batch. It does not train the model here; there its
  gradient is clipped and left out alike.
- Its code clips every gradient, divides W by the mean norm and clips it, which the default "paper" does not;
  `variant: reference` does. `max_grad_norm` is then 5.0 in the out-of-domain form too, unless set.
- Its code keeps the old gradient of an absent domain, in a k × P matrix; here the last score is kept, and the
  reference variant's mean norm is over the domains present.
- The inner products come from one backward pass with hooks, not from one pass a domain; alike up to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.methods.reweighting.with_target import bytes_beside
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    Objective,
    RunInputs,
    RunSpec,
    StepSize,
    UserError,
    is_number,
    number,
    one_of,
    register,
    target,
    whole,
)

RUN = "proxy"
VARIANTS = ("paper", "reference")
TARGET_BATCHES = ("independent", "same")


@register
class Doge(Method):
    """Average weights of the proxy run; zero for the target of the out-of-domain form."""

    name = "doge"
    version = 2
    kind = "proxy"
    sees = ("train text",)
    cost = "12 n d, and the inner products"
    parameters = {
        "target": target(None),  # None: all domains; a domain: help it, without training on it
        "variant": one_of("paper", VARIANTS),
        "target_batch": one_of("independent", TARGET_BATCHES),  # "same": the batch's own, self terms included
        "steps": whole(None, 1),  # optimizer steps of the proxy run; None: as many as the scenario's proxy
        "mu": number(0.01, above=0),  # μ: smaller moves the weights faster
        # η at the peak of the learning-rate schedule; None: the recipe's lr.
        "step_size": number(5.0e-4, above=0, optional=True),
        "max_grad_norm": number(5.0, above=0),  # reference variant only, as the two below
        "score_min": 0.0,
        "score_max": 5.0,
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse a target too that is alone, and scores that are no range."""
        super().check(params, domains, facts)
        if params["target"] is not None and len(domains) < 2:
            alone = f"{params['target']!r} is the only domain; nothing is left to weight"
            raise UserError(f"method doge: target: {alone}")
        low, high = params["score_min"], params["score_max"]
        if not is_number(low) or not is_number(high, above=low):
            raise UserError(f"method doge: score_min, score_max: {low!r}, {high!r} are not a rising pair")

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the proxy run: uniform over all domains, the target's among them."""
        return [RunSpec(RUN, {d: 1 / len(domains) for d in domains}, params["steps"], objective=True)]

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the objective that moves α and trains on Σ α_i g_i."""
        from chameleon.methods.reweighting.doge import DogeObjective

        return DogeObjective(inputs.domains, **{k: v for k, v in inputs.params.items() if k != "steps"})

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of the gradients, of the logits and of the target's blocks."""
        own = params["target"] is None and params["target_batch"] == "independent"
        return bytes_beside(step, own)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the run's average weights, and zero for the target."""
        outcome = inputs.runs[RUN].outcome
        average = {d: float(outcome["average"].get(d, 0.0)) for d in inputs.domains}
        diagnostics = {
            "trajectory": outcome["trajectory"],
            "final_weights": outcome["final"],
            **{key: outcome[key] for key in ("mean_score", "score_error", "self_share")},
        }
        return inputs.answer(average, diagnostics)
