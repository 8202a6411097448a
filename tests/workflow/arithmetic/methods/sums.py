"""Stand-in methods: each asks something else of the workflow and answers with a sum of what it was given.

Those of `staged`, `pool` and `moving` are a share for the first domain; the last one gets the rest.
"""

import json

from chameleon.mixing import REFERENCE, Method, MethodResult, MixtureSchedule, RunSpec, register


def two(domains, share):
    """Return weights: `share` on the first domain, the rest on the last."""
    return {**dict.fromkeys(domains, 0.0), domains[0]: share, domains[-1]: 1 - share}


def answer(weights):
    return MethodResult(MixtureSchedule.static(weights))


@register
class Counts(Method):
    """Tokens of a domain / tokens of all."""

    name = "counts"

    def weights(self, inputs):
        total = sum(inputs.token_counts[d] for d in inputs.domains)
        return answer({d: inputs.token_counts[d] / total for d in inputs.domains})


@register
class Staged(Method):
    """Two runs, the second of which waits: a sixteenth of the sum of the first domain's losses after them.

    The first run is on the first domain alone; the second gives it an eighth of the sum of the loss after the
    first run and what the uniform proxy knows of the domain.
    """

    name = "staged"

    def extra_runs(self, domains, params, seed):
        first = RunSpec("one", two(domains, 1.0), steps=2)
        return [first, RunSpec("two", None, steps=2, after=("one", REFERENCE))]

    def run_weights(self, inputs):
        first = inputs.domains[0]
        state = inputs.earlier[REFERENCE].model_dir / "state.json"
        knows = json.loads(state.read_text(encoding="utf-8"))["knows"]
        return two(inputs.domains, (inputs.earlier["one"].losses[first] + knows[first]) / 8)

    def weights(self, inputs):
        first = inputs.domains[0]
        return answer(two(inputs.domains, sum(inputs.runs[r].losses[first] for r in ("one", "two")) / 16))


@register
class Pool(Method):
    """A swarm of a quarter, half and three quarters on the first domain: a 16th of the sum of its losses."""

    name = "pool"

    def extra_runs(self, domains, params, seed):
        runs = {f"run{i}": two(domains, i / 4) for i in (1, 2, 3)}
        return [RunSpec(name, weights, scale="small", swarm=True) for name, weights in runs.items()]

    def weights(self, inputs):
        first = inputs.domains[0]
        return answer(two(inputs.domains, sum(inputs.runs[f"run{i}"].losses[first] for i in (1, 2, 3)) / 16))


@register
class Located(Method):
    """Embeddings: (200 * first number + second number) / 1600; the last domain gets the rest."""

    name = "located"
    requires = frozenset({"embeddings"})

    def weights(self, inputs):
        *most, last = inputs.domains
        rows = dict(zip(inputs.domains, inputs.embeddings, strict=True))
        weights = {d: float(200 * rows[d][0] + rows[d][1]) / 1600 for d in most}
        return answer({**weights, last: 1 - sum(weights.values())})


@register
class Moving(Method):
    """Online, and on top of `pool`: for two steps `pool` in reverse order, then a sixteenth of a sum of four.

    The first domain's loss at that step, its loss after a run on it alone, its embedding's first number, and
    its share in `pool`.
    """

    name = "moving"
    online = True
    requires = frozenset({"embeddings"})

    def uses(self, params):
        return ["pool"]

    def extra_runs(self, domains, params, seed):
        return [RunSpec("alone", two(domains, 1.0), scale="small")]

    def weights(self, inputs):
        return answer(two(inputs.domains, inputs.others["pool"][inputs.domains[-1]]))

    def controller(self, inputs):
        return Controller(inputs)


class Controller:
    def __init__(self, inputs):
        self.inputs = inputs

    def next_segment(self, state):
        if state.step == 0:
            return 2, self.inputs.start
        first = state.domains[0]
        now, alone = state.validation_losses()[first], self.inputs.runs["alone"].losses[first]
        known, share = float(self.inputs.embeddings[0][0]), self.inputs.others["pool"][first]
        return 2, two(state.domains, (now + alone + known + share) / 16)
