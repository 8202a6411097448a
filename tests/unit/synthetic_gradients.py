"""Runs of R&B's and PiKE's controllers whose blocks have gradients made up by a function, without a model."""

import copy

import numpy as np
import torch

from chameleon.data.sampler import allocate
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, StepInfo, TrainingState

BATCH = 8


def inputs(name, domains, total=300, others=None, **changed):
    params = registry.parameters(name, changed, "here")
    counts = dict.fromkeys(domains, 10**6)
    return MethodInputs(tuple(domains), counts, params, 0, total, others=others or {})


def dealt(length, weights, domains, left):
    """Check a segment that a controller asks for; return its blocks by domain, and each batch's domains."""
    assert isinstance(length, int) and 1 <= length <= left, "never more than what is left"
    assert set(weights) == set(domains) and abs(sum(weights.values()) - 1) < 1e-12
    assert all(type(w) is float and w >= 0 for w in weights.values())
    realised = allocate(weights, length * BATCH)
    # Every domain's blocks in turns, as the sampler spreads them.
    queue = sorted(((j + 0.5) / n, d) for d, n in realised.items() for j in range(n))
    return realised, [[d for _, d in queue[i * BATCH : (i + 1) * BATCH]] for i in range(length)]


def fed(controller):
    """Make the controller take the gradients of blocks, where a run would give it their tokens."""
    sums = controller.sums

    def step(model, gradients, targets, owners, parts):
        if sums._sums is None:
            sums._sums = torch.zeros(len(sums.counts), gradients.shape[1])
        for owner, gradient in zip(owners, gradients, strict=True):
            sums._sums[owner] += gradient
        sums.counts += np.bincount(owners, minlength=len(sums.counts))
        return 0.0

    sums.step = step
    return controller


def take(controller, step, domains, gradient):
    """Do a step over blocks of these domains; `gradient(domain, step)` returns a block's."""
    vectors = np.array([gradient(d, step) for d in domains], dtype=np.float32)
    info = StepInfo(step, 1000, 1.0, 0.01, 1.0)
    controller.step(None, torch.from_numpy(vectors), None, domains, info)


def play(given, name, gradient, cut=()):
    """Play a run; returns (segments, controller). `cut`: steps after which the controller is made anew."""
    method, domains, total = registry.get(name), given.domains, given.total_steps
    controller = fed(method.controller(given))
    segments, realised, step = [], {}, 0
    while step < total:
        state = TrainingState(step, total, domains, dict, realised)
        length, weights = controller.next_segment(state)
        realised, batches = dealt(length, weights, domains, total - step)
        for batch in batches:
            take(controller, step, batch, gradient)
            step += 1
            if step in cut:
                kept = copy.deepcopy(controller.state())
                controller = fed(method.controller(given))
                controller.restore(kept)
        segments.append((length, weights))
    return segments, controller
