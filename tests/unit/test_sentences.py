"""`embed_with: sentences`: the vectors of a sentence encoder in the place of a proxy's embeddings.

The encoder in tests/data has random weights; tests/tiny_encoder.py made it.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from chameleon import krls
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.embedding import encoders
from chameleon.embedding import files as embedding_files
from chameleon.embedding.sentences import BATCH, Encoder
from chameleon.experiment import paths, specs
from chameleon.experiment.load import load
from chameleon.methods.chameleon import Chameleon
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs
from chameleon.stages import measure, text

TINY = str(Path(__file__).parents[1] / "data" / "encoder")
TEXTS = ["A cat.", "One dog and another, longer than the first.", "x" * 500]


@pytest.fixture
def cfg(raw):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "chameleon_sentence"]
    raw["method_params"] = {
        "chameleon_sentence": {"method": "chameleon", "embed_with": "sentences", "ridge": {"of_trace": 0.2}}
    }
    raw["sentences"] = {"encoder": TINY, "windows": 9, "window_length": 12}
    return load(raw)


def test_a_vector_is_the_unit_mean_over_the_texts_own_tokens():
    encoder = Encoder(TINY)
    found, tokens = encoder.encode(TEXTS)
    model, tokenizer = (
        AutoModel.from_pretrained(TINY).float().eval(),
        Tokenizer.from_file(TINY + "/tokenizer.json"),
    )
    read = 0
    for text_, row in zip(TEXTS, found, strict=True):
        ids = tokenizer.encode(text_).ids[:64]  # what the encoder takes
        with torch.no_grad():
            mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        assert row == pytest.approx((mean / mean.norm()).double().numpy(), abs=1e-6)
        read += len(ids)
    assert tokens == read


def test_batches_play_no_part():
    encoder, texts = Encoder(TINY), [f"text {i} " * (1 + i % 5) for i in range(BATCH + 3)]
    whole, _ = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([t])[0] for t in texts])
    assert whole == pytest.approx(alone, abs=1e-6)


def test_operations_are_those_of_the_products():
    counted = 2 * (4 * 8 * 8 + 2 * 8 * 16) * 2 + 4 * 32 * 8 * 2
    assert Encoder(TINY).flops_per_token(32) == counted


class Spelt:
    """Stands for the experiment's tokenizer, of which the toy shards have none."""

    def decode(self, ids):
        return " ".join(map(str, ids))


def test_a_job_embeds_a_corpus_and_the_method_reads_it(cfg, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "load_tokenizer", lambda folder: Spelt())
    (first, second) = cfg.raw["scenarios"]["toy"]["corpora"]
    files = []
    for corpus, manifest in zip((first, second), toy.manifests, strict=True):
        spec, out = specs.sentences(cfg, corpus, 0), tmp_path / f"{corpus}.json"
        measure.sentences(spec, [manifest], toy.tokenizer, out, 1)
        files.append(out)
        record = read_json(out.with_suffix(".run.json"))
        assert record["cost"]["tokens"] > 0 and record["stage"] == "sentences"
        again = tmp_path / "again.json"
        measure.sentences(spec, [manifest], toy.tokenizer, again, 1)
        assert again.read_bytes() == out.read_bytes()
    rows = embedding_files.load(files, tuple(cfg.domains("toy")))
    assert rows.shape == (len(cfg.domains("toy")), 8) and np.linalg.norm(rows, axis=1).max() <= 1
    assert paths.embedding_files(cfg, "toy", "chameleon_sentence", "0") == [
        f"<results>/embeddings/sentences/seed0/{corpus}.json" for corpus in (first, second)
    ]


def test_all_its_passes_are_charged_and_no_proxy(cfg):
    sources = specs.collect(cfg)["scenarios"]["toy"]["methods"]["chameleon_sentence"]
    assert sources["charged_corpora"] == cfg.raw["scenarios"]["toy"]["corpora"]
    assert not sources["charged_proxy"] and sources["embedder"] == "sentences"
    assert "sentences" not in specs.embedders(cfg)


def test_ridge_in_parts_of_the_trace_does_not_see_the_size_of_features():
    x = np.random.default_rng(0).normal(size=(3, 5))
    domains, params = ("a", "b", "c"), registry.parameters("chameleon", {"ridge": {"of_trace": 0.2}}, "here")

    def weights(features):
        found = Chameleon().weights(MethodInputs(domains, dict.fromkeys(domains, 9), params, 0, 10, features))
        return list(found.schedule.stages[0].weights.values()), found.diagnostics

    small, said = weights(x)
    large, _ = weights(1000 * x)
    assert small == pytest.approx(large, rel=1e-9)
    omega = krls.affinity(x, centre=True)
    assert said["k_lambda"] == pytest.approx(0.2 * np.trace(omega))
    expected = krls.pretrain_weights(krls.leverage_scores(omega, ridge=0.2 * np.trace(omega) / 3))
    assert small == pytest.approx(expected, rel=1e-9)
    assert weights(np.ones((3, 5)))[0] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("ridge", "words"),
    [
        ({"of_trace": 0}, "chameleon.ridge.of_trace: 0 is not a number above 0"),
        ({"share": 1}, r"chameleon.ridge: {'share': 1} is neither a number nor {of_trace: a number}"),
        ({}, "chameleon.ridge: {} is neither"),
    ],
)
def test_a_ridge_that_is_none(ridge, words):
    with pytest.raises(UserError, match=words):
        Chameleon().check(registry.parameters("chameleon", {"ridge": ridge}, "here"), ("a", "b"), {})


def test_an_encoder_that_is_not_there(raw, cfg, tmp_path):
    raw["sentences"]["encoder"] = str(tmp_path)
    with pytest.raises(
        UserError, match=r"sentences.encoder: .* is neither 'minilm' nor a folder that holds model.saf"
    ):
        load(raw)
    for name in encoders.FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="sentences.encoder: .* cannot be loaded: .*") as error:
        Encoder(str(tmp_path))
    assert "\n" not in str(error.value)


def test_where_an_encoder_comes_from_is_written(cfg, tmp_path):
    text.encoder(specs.encoder(cfg), tmp_path / "source.json")
    assert read_json(tmp_path / "source.json")["folder"] == TINY
    assert paths.encoder_files(cfg) == [f"{TINY}/{name}" for name in encoders.FILES]


def test_a_study_needs_numbers(raw, cfg):
    raw["sensitivity"] = {"scenario": "toy", "method": "chameleon_sentence"}
    with pytest.raises(UserError, match=r"sensitivity.method: chameleon_sentence: its ridge is {'of_trace'"):
        load(raw)
