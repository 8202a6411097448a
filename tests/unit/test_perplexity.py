"""Losses against closed forms and a plain transformers script; the two means, by hand."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.evaluation.perplexity import BATCH, block_losses, blocks, by_document, summary
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.stages import common, measure
from chameleon.training.model import Decoder, ModelShape, save_pretrained

SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model far from initialisation, so that tokens differ widely in loss."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = Decoder(SHAPE).initialise(0)
    with torch.no_grad():
        model.wte.weight.mul_(40)
    save_pretrained(model, folder, eos_token_id=0)
    return folder


def evaluate(toy, raw, checkpoint, out, method="uniform"):
    spec = specs.evaluate(load(raw), "toy", method, 0)
    measure.evaluate(spec, toy.manifests, checkpoint, out, 1)
    return read_json(out, "metrics")


def test_a_model_that_knows_nothing_has_perplexity_v(toy):
    model = Decoder(SHAPE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    data = blocks(TokenCorpus(toy.manifests[0]).stream("unique", "test"), 320, 16, "here").ids
    loss = block_losses(model, data).mean()
    assert loss == pytest.approx(math.log(64), rel=1e-7)
    assert summary({"unique": loss})["perplexity"]["unique"] == pytest.approx(64, rel=1e-6)


def test_all_blocks_of_a_split_share_border_tokens(toy):
    stream = TokenCorpus(toy.manifests[0]).stream("unique", "test")
    ids = blocks(stream, 390, 16, "here").ids
    assert ids.shape == (24, 17), "whole blocks only"
    np.testing.assert_array_equal(ids[:, :-1].ravel(), stream.read(0, 384))
    np.testing.assert_array_equal(ids[:, 1:].ravel(), stream.read(1, 385))


@pytest.mark.parametrize("count", [1, 2, 5, 7, 13, 23, 24])
def test_blocks_are_spread_evenly_and_know_their_documents(toy, count):
    stream = TokenCorpus(toy.manifests[0]).stream("unique", "test")
    found = blocks(stream, 16 * count + 3, 16, "here")
    everything = blocks(stream, 384, 16, "here")
    taken = [i * 24 // count for i in range(count)]
    assert len(set(np.diff(taken))) <= 2, "gaps differ by one block at most"
    np.testing.assert_array_equal(found.ids, everything.ids[taken])
    begun = [sum(start <= 16 * i for start in stream.offsets) - 1 for i in taken]
    assert found.documents.tolist() == begun


def test_losses_of_documents_add_up_to_the_mean():
    losses, documents = np.array([4.0, 2.0, 3.0, 7.0]), np.array([0, 2, 2, 5])
    found = by_document(losses, documents)
    assert found == {"blocks": [1, 2, 1], "loss": [4.0, 2.5, 7.0]}
    assert np.average(found["loss"], weights=found["blocks"]) == losses.mean()


@pytest.mark.parametrize(("tokens", "asked"), [(400, 401), (10_000, 10_001), (15, 17)])
def test_a_split_that_is_too_short_is_refused(toy, tokens, asked):
    stream = TokenCorpus(toy.manifests[0]).stream("unique", "test")
    assert len(blocks(stream, 399, 16, "here").ids) == 24
    with pytest.raises(UserError, match=f"^here: holds 400 tokens, but {asked} are asked for$"):
        blocks(stream, tokens, 16, "here")


def test_equals_a_plain_transformers_script(toy, raw, checkpoint, tmp_path):
    """The loss a user gets from the checkpoint and the shards with transformers and numpy alone."""
    from transformers import AutoModelForCausalLM

    metrics = evaluate(toy, raw, checkpoint, tmp_path / "seed0.json")
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    context = model.config.n_positions
    assert metrics["domains"] == {"twin_one": "left", "unique": "left", "blend": "right"}
    for domain, corpus in metrics["domains"].items():
        folder = toy.root / "tokens" / corpus
        manifest = json.loads((folder / "manifest.json").read_text())
        shards = manifest["domains"][domain]["test"]["shards"]
        ids = np.concatenate([np.fromfile(folder / s["file"], manifest["dtype"]) for s in shards]).astype(int)
        total = 0.0
        held = (len(ids) - 1) // context
        for start in [i * held // (320 // context) * context for i in range(320 // context)]:
            window = torch.from_numpy(ids[start : start + context + 1])
            with torch.no_grad():
                logits = model(window[None, :-1]).logits.double()
            total -= logits.log_softmax(-1)[0, torch.arange(context), window[1:]].sum().item()
        assert metrics["loss"][domain] == pytest.approx(total / 320, rel=1e-5)
        assert metrics["perplexity"][domain] == pytest.approx(math.exp(total / 320), rel=1e-4)
    assert len(set(metrics["loss"].values())) == 3 and 320 / context > BATCH, "two batches, one not full"


def test_the_result_depends_on_the_checkpoint_alone(toy, raw, checkpoint, tmp_path):
    """Same model under two methods' names: the same numbers and the same tokens of every domain."""
    one = evaluate(toy, raw, checkpoint, tmp_path / "one.json")
    shutil.copytree(checkpoint, tmp_path / "copy")
    other = evaluate(toy, raw, tmp_path / "copy", tmp_path / "other.json", method="natural")
    assert other == {**one, "method": "natural"}
    record = read_json(tmp_path / "one.run.json", "run")
    assert record["cost"]["tokens"] == 3 * 320, "every domain is tested on the same number of tokens"
    assert record["stage"] == "evaluate" and record["cost"]["flops"] > 0


def test_the_two_means_by_hand():
    found = summary({"a": math.log(2), "b": math.log(8)})
    assert found["perplexity"] == {"a": 2.0, "b": 8.0}
    assert found["mean_perplexity"] == 5.0
    assert found["mean_log_perplexity"] == pytest.approx(math.log(4), abs=1e-9)
    assert found["loss"] == {"a": round(math.log(2), 9), "b": round(math.log(8), 9)}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="loss is not finite: {'b'"):
        summary({"a": 1.0, "b": bad})


def test_evaluation_leaves_the_model_as_it_was(toy):
    data = blocks(TokenCorpus(toy.manifests[0]).stream("unique", "test"), 32, 16, "here").ids
    model = Decoder(SHAPE).initialise(0).train()
    block_losses(model, data)
    assert model.training and all(p.grad is None for p in model.parameters())
    block_losses(model.eval(), data)
    assert not model.training


def test_models_go_to_the_device_in_sight(checkpoint, monkeypatch):
    monkeypatch.setattr(common, "pick_device", lambda: torch.device("meta"))
    assert {p.device.type for p in common.load_model(checkpoint).parameters()} == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU in sight")
def test_a_gpu_gives_the_same_losses(toy, raw, checkpoint, tmp_path, monkeypatch):
    on_gpu = evaluate(toy, raw, checkpoint, tmp_path / "gpu.json")
    assert torch.cuda.max_memory_allocated() > 0
    monkeypatch.setattr(common, "pick_device", lambda: torch.device("cpu"))
    on_cpu = evaluate(toy, raw, checkpoint, tmp_path / "cpu.json")
    assert on_gpu["loss"] == pytest.approx(on_cpu["loss"], rel=1e-4)
