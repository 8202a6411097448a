"""Toy domains with known structure, for tests: Markov chains over a small vocabulary, and noise."""

import numpy as np

from chameleon.mixing.schedule import MixtureSchedule
from chameleon.training.loop import Training
from chameleon.training.model import ModelShape
from chameleon.training.recipe import Recipe

VOCABULARY = 32
SHAPE = ModelShape(n_layer=1, n_head=2, d_model=16, context=16, vocab_size=VOCABULARY, init_std=0.1)


class Tokens:
    """A token stream in memory."""

    def __init__(self, ids):
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def read(self, start, stop):
        return self.ids[start:stop]


def chain(rule, seed, length=4000, certainty=0.9):
    """Tokens of a chain whose successor is permutation number `rule`; None for uniform noise."""
    rng = np.random.default_rng([seed, 0 if rule is None else rule + 1])
    noise = rng.integers(VOCABULARY, size=length)
    if rule is None:
        return Tokens(noise)
    successor = np.random.default_rng(1000 + rule).permutation(VOCABULARY)
    ids = noise.copy()
    follows = rng.random(length) < certainty
    for t in range(1, length):
        if follows[t]:
            ids[t] = successor[ids[t - 1]]
    return Tokens(ids)


def domains(rules, seed):
    """Name -> stream for a mapping of names to rules; two domains with one rule still have their own text."""
    return {name: chain(rule, seed * 100 + i) for i, (name, rule) in enumerate(sorted(rules.items()))}


def train(streams, objective=None, steps=40, seed=0, lr=0.02, batch=8):
    """Train a tiny model on uniformly drawn data; returns the Training."""
    recipe = Recipe(optimizer="adamw", lr=lr, batch_size=batch, steps=steps)
    run = Training(SHAPE, recipe, streams, init_seed=seed, data_seed=seed, label="")
    run.play(MixtureSchedule.static(dict.fromkeys(streams, 1 / len(streams))), objective=objective)
    return run
