"""Weights in proportion to a domain's loss after a short run that leaves it out."""

from chameleon.mixing import Method, MethodResult, MixtureSchedule, RunSpec, register


@register
class Probe(Method):
    """Toy."""

    name = "probe"
    defaults = {"steps": 2, "power": 1.0}

    def extra_runs(self, domains, params, seed):
        share = 1 / (len(domains) - 1)
        return [
            RunSpec(f"no_{left}", {d: 0.0 if d == left else share for d in domains}, params["steps"])
            for left in domains
        ]

    def weights(self, inputs):
        loss = {d: inputs.runs[f"no_{d}"].losses[d] ** inputs.params["power"] for d in inputs.domains}
        weights = {d: x / sum(loss.values()) for d, x in loss.items()}
        found = {i: (r.model_dir / "config.json").is_file() for i, r in inputs.runs.items()}
        return MethodResult(MixtureSchedule.static(weights), {"runs": found})
