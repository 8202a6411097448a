"""Losses that are read some steps later and batches that are read ahead, as on a GPU, change nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_runs import MIXTURE, Plain, play, training
from ranked_runs import SHAPE, doge, online
from test_observed import Hears

from chameleon.core.errors import Diverged, UserError
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.training import loop
from chameleon.training.distributed import replicas
from chameleon.training.distributed.ranks import Ranks
from chameleon.training.resume.states import Every, States
from chameleon.training.stacked import Stack
from chameleon.training.steps.journal import Journal


@pytest.fixture
def late(monkeypatch):
    """Read losses five steps together."""

    def journal(label, vocabulary, rows, every, **options):
        assert every == 1  # on a CPU
        return Journal(label, vocabulary, rows, 5, **options)

    monkeypatch.setattr(loop, "Journal", journal)


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


def alike(run, other):
    assert np.array_equal(run.rows, other.rows) and torch.equal(weights(run), weights(other))
    assert run.segments == other.segments and run.cost == other.cost


@pytest.mark.parametrize("controller", [Plain, Hears, lambda: online("odm", update_steps=3)["controller"]])
def test_losses_read_late_change_nothing(controller, request):
    at_once, told = play(training(SHAPE, 12, 6, 2), controller())
    request.getfixturevalue("late")
    run, told_late = play(training(SHAPE, 12, 6, 2), controller())
    alike(run, at_once)
    assert len(run.rows) == 12 and getattr(told, "heard", None) == getattr(told_late, "heard", None)


def test_a_stack_whose_losses_are_read_late_is_the_same():
    def play(every):
        streams = training(SHAPE, 12, 6).streams
        mixtures = [MIXTURE, {"a": 0.2, "b": 0.3, "rare": 0.5}]
        stack = Stack(SHAPE, training(SHAPE, 12, 6).recipe, streams, 1, 2, mixtures)
        stack._every = every
        stack.play()
        return stack

    at_once, late = play(1), play(5)
    assert late.rows == at_once.rows and len(late.rows) == 12
    assert all(torch.equal(p, at_once.parameters[name]) for name, p in late.parameters.items())


def test_a_state_holds_the_steps_before_it(late, tmp_path):
    whole, _ = play(training(SHAPE, 12, 6), Plain())

    def cut(model, tokens):
        raise InterruptedError

    for at in (3, 9):
        states = States(tmp_path / str(at), {}, Every.parse("1steps"))
        with pytest.raises(InterruptedError):
            play(training(SHAPE, 12, 6), Plain(), states=states, watch={at: cut})
        run, _ = play(training(SHAPE, 12, 6), Plain(), states=states)
        alike(run, whole)


def test_a_run_that_explodes_is_seen_when_its_losses_are_read(late):
    run = training(SHAPE, 12, 6)
    run.recipe = type(run.recipe)("adamw", 1e30, batch_size=6, steps=12, warmup=0.0)
    with pytest.raises(Diverged, match="at step 1 "):
        play(run, Plain())
    assert len(run.rows) == 1


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_needs_whole_matrices_is_refused_in_shares(optimizer, monkeypatch):
    monkeypatch.setattr(replicas, "here", lambda: Ranks(1, 2))
    run = training(SHAPE, 12, 6)
    run.recipe = replace(run.recipe, optimizer=optimizer, shard=True)
    objective = doge()["objective"] if optimizer == "adamw" else None
    what = "the objective DogeObjective" if objective else "optimizer muon"
    said = f"^scales.*.train.shard: {what} needs the whole model in every process; leave it out$"
    with pytest.raises(UserError, match=said.replace("*", r"\*")):
        run.play(MixtureSchedule.static(MIXTURE), objective=objective)


def test_shares_of_a_batch_are_all_of_it_in_order():
    for blocks, world, parts in ((7, 3, 4), (1, 2, 1), (8, 3, 8), (5, 5, 2)):
        ranks = [Ranks(rank, world) for rank in range(world)]
        batch = list(range(blocks))
        assert [x for rank in ranks for x in rank.share(batch)] == batch
        alone = Ranks().at_once(blocks, parts)
        for rank in ranks:
            made = torch.tensor(rank.share(batch)).tensor_split(rank.passes(blocks, parts))
            assert max(map(len, made)) <= rank.at_once(blocks, parts) <= alone


def test_batches_read_ahead_are_those_read_in_turn():
    feed = training(SHAPE, 12, 6).feed
    batches = [[(d, n) for d in MIXTURE] for n in range(7)]
    in_turn = list(feed.ahead(batches))
    feed.reads_ahead = True
    ahead = list(feed.ahead(batches))
    assert len(ahead) == 7 and all(torch.equal(a, b) for a, b in zip(ahead, in_turn, strict=True))
    assert list(feed.ahead([])) == []


def test_a_block_that_cannot_be_read_ahead_is_told():
    feed = training(SHAPE, 12, 6).feed
    feed.reads_ahead = True
    read = feed.ahead([[("a", 0)], [("nowhere", 0)]])
    assert next(read).shape == (1, 17)
    with pytest.raises(KeyError):
        next(read)
