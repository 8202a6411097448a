"""Runs under a controller that plays one mixture, on streams of numbers: what tests of controllers change."""

import numpy as np

from chameleon.mixing.schedule import MixtureSchedule
from chameleon.training.loop import Training
from chameleon.training.recipe import Recipe

MIXTURE = {"a": 0.5, "b": 0.375, "rare": 0.125}
#: Of the streams' tokens.
VOCABULARY = 64


class Numbers:
    """A stream of a domain's own."""

    def __init__(self, seed):
        self.ids = np.random.default_rng(seed).integers(0, VOCABULARY, 2000)

    def __len__(self):
        return len(self.ids)

    def read(self, start, stop):
        return self.ids[start:stop]


class Plain:
    """Plays the mixture in segments of four steps."""

    def next_segment(self, state):
        return 4, dict(MIXTURE)

    def state(self):
        return {}

    def restore(self, state):
        pass


def training(shape, steps, size, parts=1):
    """Return a run of so many steps of `size` blocks."""
    recipe = Recipe("adamw", 0.01, batch_size=size, steps=steps, grad_accumulation=parts)
    streams = {d: Numbers(i) for i, d in enumerate(MIXTURE)}
    return Training(shape, recipe, streams, init_seed=1, data_seed=2, label="")


def play(run, controller, **options):
    run.play(MixtureSchedule.static(MIXTURE), controller, lambda model: {}, **options)
    return run, controller
