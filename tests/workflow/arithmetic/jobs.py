"""Stand-ins for the jobs that fetch, tokenise, train, embed or test: sums of what they are given; no torch.

`python jobs.py job STAGE --spec JSON ...` is the real command line with another function behind the stage. It
reads and leaves the files of the real job, as far as other jobs need them. What is in them:

- The i-th domain of a corpus (from 0) has documents * (2i + 1) train tokens. The tokenizer's vocabulary is
  the number of documents that it was trained on.
- A model is what it knows of each domain. Training adds (1 + seed) * the mean weight over the run's steps; a
  model that goes on from another one starts with half of what that one knew.
- The loss on a domain is 4 - what the model knows of it: 4 on one that it never saw.
- A domain's embedding has two numbers: the least that the model knows of any domain that it was trained on,
  and the domain's own train tokens.
- A run costs steps * batch * context tokens. Embedding costs the windows, a test or a validation pass its
  tokens, once per domain. Weights cost nothing. Operations are tokens * vocabulary.

Seeds are 0 and 1. Every number is exact in float64: expected.json gives it as a fraction, which follows by
hand from these lines, config.yaml and methods/sums.py.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

from chameleon import cli

STAGES = {}
#: Tokens of the held-out splits: more than is asked of them; none is read.
HELD_OUT = 10**6
#: Options that say how a job is done and change no number; stand-ins are not given them.
SPEED = ("threads", "stack", "states", "asked")


def stage(function):
    STAGES[function.__name__] = function
    return function


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def digest(value):
    """Return the SHA-256 that the package's own `fingerprint` gives, without its imports."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def cost(tokens=0, vocabulary=0):
    return {"tokens": tokens, "flops": float(tokens * vocabulary), "seconds": 0.0}


def record(path, name, spec, spent=None, **more):
    """Write a run record."""
    same = {"schema": 1, "git": {"commit": None, "dirty": None}, "versions": {}, "device": "none"}
    same |= {"threads": 1, "inputs": {}, "outputs": {}, "started": "", "finished": ""}
    own = {"stage": name, "spec": spec, "fingerprint": digest(spec), "seeds": spec.get("seeds", {})}
    write(path, {**same, **own, "cost": spent or cost(), **more})


@stage
def fetch(spec, out):
    write(out, {"documents": spec["entry"]["documents"]})


@stage
def prepare(spec, out, reads=(), gathers=()):
    write(out / "report.json", dict.fromkeys(spec["domains"], read(out / "sources.json")["documents"]))
    record(out / "run.json", "prepare", spec)


@stage
def tokenizer(spec, corpora, out):
    reports = {corpus: read(corpora / corpus / "report.json") for corpus in spec["domains"]}
    words = sum(reports[corpus][d] for corpus, domains in spec["domains"].items() for d in domains)
    write(out / "tokenizer.json", {"vocabulary": words})
    record(out / "run.json", "tokenizer", spec)


@stage
def tokens(spec, corpus, tokenizer, out, encoded=()):
    """Write the manifest; nothing reads shards."""
    documents, words = read(corpus / "report.json"), read(tokenizer / "tokenizer.json")
    domains = {}
    for i, domain in enumerate(spec["domains"]):
        for split, count in (
            ("train", documents[domain] * (2 * i + 1)),
            ("validation", HELD_OUT),
            ("test", HELD_OUT),
        ):
            shards = [{"file": "none", "tokens": count, "sha256": "0" * 64}]
            entry = {"tokens": count, "documents": 1, "offsets": "none", "shards": shards}
            domains.setdefault(domain, {})[split] = entry
    manifest = {"corpus": spec["corpus"], "order": spec["domains"], "domains": domains, "dtype": "<u2"}
    manifest |= {"eot": 0, "tokenizer_sha256": digest(words), "vocab_size": words["vocabulary"]}
    write(out / "manifest.json", {**manifest, "sha256": digest(manifest)})
    record(out / "run.json", "tokens", spec)


def opened(manifests, domains):
    """Return the train tokens of domains (domain -> corpus), in their order, and the vocabulary."""
    found = {m["corpus"]: m for m in map(read, manifests)}
    (vocabulary,) = {m["vocab_size"] for m in found.values()}
    return {d: found[c]["domains"][d]["train"]["tokens"] for d, c in domains.items()}, vocabulary


def losses(knows, domains):
    return {d: 4 - knows.get(d, 0.0) for d in domains}


def run(spec, manifests, tokenizer, out, ask, start=None, curve=()):
    """Play a run and write its files.

    Args:
        ask: (step, what the model knows) -> (number of steps, weights) of the next segment.
        start: what a model knew that this one goes on from.
        curve: steps after which losses are noted.

    Returns:
        What the model knows, the points of the curve, the cost.
    """
    domains, (_, vocabulary) = spec["domains"], opened(manifests, spec["domains"])
    assert digest(read(tokenizer / "tokenizer.json")) == read(manifests[0])["tokenizer_sha256"]
    steps, batch, context = spec["train"]["steps"], spec["train"]["batch_size"], spec["model"]["context"]
    knows = {**dict.fromkeys(domains, 0.0), **{d: x / 2 for d, x in (start or {}).items()}}
    segments, points, step = [], [], 0
    while step < steps:
        length, weights = ask(step, knows)
        assert set(weights) == set(domains) and math.fsum(weights.values()) == 1
        blocks = {d: length * batch * w for d, w in weights.items()}
        segments.append({"start_step": step, "steps": length, "weights": weights, "blocks": blocks})
        for step in range(step + 1, step + length + 1):  # noqa: B020
            knows = {d: x + (1 + spec["seed"]) * weights.get(d, 0.0) / steps for d, x in knows.items()}
            if step in curve:
                points.append({"tokens": step * batch * context, "loss": losses(knows, domains)})
    drawn = {d: sum(s["blocks"][d] for s in segments) for d in domains}
    write(out / "model" / "state.json", {"knows": knows})
    write(out / "mixture.json", {"segments": segments, "effective_epochs": drawn, "block_tokens": context})
    write(out / "training.csv", None)
    return knows, points, cost(steps * batch * context, vocabulary)


def fixed(spec, weights):
    """Return an `ask` that plays one mixture from start to end."""
    return lambda step, knows: (spec["train"]["steps"], weights)


@stage
def proxy(spec, manifests, tokenizer, out):
    uniform = dict.fromkeys(spec["domains"], 1 / len(spec["domains"]))
    *_, spent = run(spec, manifests, tokenizer, out, fixed(spec, uniform))
    record(out / "run.json", "proxy", spec, spent)


@stage
def extra(spec, manifests, tokenizer, out, after, reference):
    """A run without weights asks its method, with the results of the runs that it waited for."""
    weights = spec["weights"]
    if weights is None:
        from chameleon.mixing import REFERENCE, RunInputs, RunResult, RunSpec, registry

        own, (counts, _) = spec["own"], opened(manifests, spec["domains"])
        results = {folder.name: read(folder / "result.json") for folder in after}
        earlier = {name: RunResult(r["weights"], r["loss"], None) for name, r in results.items()}
        if reference is not None:
            earlier[REFERENCE] = RunResult({}, {}, reference / "model")
        assert set(earlier) == set(own["after"])
        asked = RunSpec(spec["run"], None, own["steps"], after=tuple(own["after"]))
        inputs = RunInputs(asked, tuple(counts), counts, own["params"], own["method_seed"], earlier)
        weights = registry.get(own["registered"]).run_weights(inputs)
    knows, _, spent = run(spec, manifests, tokenizer, out, fixed(spec, weights))
    write(out / "result.json", {"weights": weights, "outcome": {}, "loss": losses(knows, spec["domains"])})
    record(out / "run.json", "extra", spec, spent)


@stage
def swarm(spec, manifests, out):
    domains, (_, vocabulary) = spec["domains"], opened(manifests, spec["domains"])
    results = {}
    for name, weights in spec["runs"].items():
        knows = {d: (1 + spec["seed"]) * weights[d] for d in domains}
        results[name] = {"weights": weights, "loss": losses(knows, domains)}
    write(out, {"runs": results})
    each = spec["train"]["steps"] * spec["train"]["batch_size"] * spec["model"]["context"]
    record(out.with_suffix(".run.json"), "swarm", spec, cost(each * len(results), vocabulary))


@stage
def embed(spec, manifests, model_dir, out):
    (manifest,), knows = map(read, manifests), read(model_dir / "state.json")["knows"]
    counts, vocabulary = opened(manifests, dict.fromkeys(spec["domains"], spec["corpus"]))
    made = {key: spec[key] for key in ("corpus", "domains", "seed", "windows")}
    made |= {"rows": {d: [min(knows.values()), n] for d, n in counts.items()}}
    made |= {"tokenizer_sha256": manifest["tokenizer_sha256"], "corpus_sha256": manifest["sha256"]}
    write(out, {**made, "proxy_sha256": digest(knows), "layer": 1, "window_length": 16})
    record(out.with_suffix(".run.json"), "embed", spec, cost(spec["windows"] * len(counts), vocabulary))


@stage
def train(spec, manifests, weights_file, tokenizer, out, embeddings, runs, others, start):
    """An online method's controller is asked, with what the workflow gave; nobody else is given anything."""
    (given,), vocabulary = read(weights_file)["stages"], opened(manifests, spec["domains"])[1]
    ask, passes, curve, knew = fixed(spec, given["weights"]), [], spec["curve"], None
    if spec["online"] is not None:
        ask = controlled(spec, manifests, given["weights"], passes, embeddings, runs, others)
    else:
        assert not [*embeddings, *runs, *others]
    if start is not None or spec["start"] is not None:
        knew = read(start / "state.json")["knows"]
    _, points, spent = run(spec, manifests, tokenizer, out, ask, knew, curve["steps"])
    write(out / "curve.json", {"points": points})
    measured = cost(curve["tokens"] * len(points) * len(spec["domains"]), vocabulary)
    ordered = cost(sum(passes), vocabulary)
    record(out / "run.json", "base", spec, spent, curve_cost=measured, validation_cost=ordered)


def controlled(spec, manifests, start, passes, *files):
    """Return an `ask` that asks an online method's controller; tokens of the passes it orders are noted."""
    from dataclasses import replace

    from chameleon.mixing import TrainingState, registry
    from chameleon.stages.inputs import method_inputs, open_corpora

    online, domains = spec["online"], spec["domains"]
    own = {**spec, "params": online["params"], "seeds": {"method": online["method_seed"]}}
    inputs = method_inputs(own, open_corpora(manifests, domains), *files)
    controller = registry.get(online["registered"]).controller(replace(inputs, start=start))

    def ask(step, knows):
        def validate():
            passes.append(online["validation_tokens"] * len(domains))
            return losses(knows, domains)

        state = TrainingState(step, spec["train"]["steps"], tuple(domains), validate, {})
        return controller.next_segment(state)

    return ask


@stage
def evaluate(spec, manifests, model_dir, out):
    counts, vocabulary = opened(manifests, {**spec["domains"], **spec["kept"], **spec["unseen"]})
    knows = read(model_dir / "state.json")["knows"]

    def measured(domains):
        loss = losses(knows, domains)
        perplexity = {d: math.exp(x) for d, x in loss.items()}
        means = {"mean_perplexity": mean(perplexity), "mean_log_perplexity": mean(loss)}
        return means, {"loss": loss, "perplexity": perplexity, **means}

    made = {key: spec[key] for key in ("scenario", "scale", "method", "seed", "domains", "test_tokens")}
    made |= {**measured(spec["domains"])[1], "groups": {g: measured(d)[0] for g, d in spec["groups"].items()}}
    made["documents"] = {d: {"blocks": [1, 1], "loss": [x, x]} for d, x in made["loss"].items()}
    apart = {part: measured(spec[part])[1] if spec[part] else None for part in ("kept", "unseen")}
    write(out, {**made, **apart})
    spent = cost(spec["test_tokens"] * len(counts), vocabulary)
    record(out.with_suffix(".run.json"), "evaluate", spec, spent)


def mean(values):
    return math.fsum(values.values()) / len(values)


def find(name):
    """Return the stand-in for a stage, as the command line calls it."""
    return lambda **given: STAGES[name](**{k: v for k, v in given.items() if k not in SPEED})


if __name__ == "__main__":
    cli.jobs.find = find
    sys.exit(cli.main())
