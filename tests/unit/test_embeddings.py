"""Domain embeddings against a plain transformers computation, and where their windows come from."""

import json

import numpy as np
import pytest
import torch

from chameleon.core.artifacts import read_json, sha256_file, write_json
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.embedding import files as embedding_files
from chameleon.embedding.embed import embed, middle, window_starts
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.stages import measure
from chameleon.training.model import Decoder, ModelShape, flops_per_token, save_pretrained

LAYERS = 3
SHAPE = ModelShape(n_layer=LAYERS, n_head=2, d_model=16, context=16, vocab_size=64, init_std=0.3)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    save_pretrained(Decoder(SHAPE).initialise(0), folder, eos_token_id=0)
    return folder


def spec(raw, corpus="left", seed=0, **changes):
    raw["embeddings"] |= changes
    raw["scales"]["tiny"]["model"]["n_layer"] = LAYERS
    return specs.embed(load(raw), "toy", corpus, seed)


@torch.no_grad()
def by_transformers(proxy, corpus, domain, starts, length, layer):
    from transformers import AutoModel

    model = AutoModel.from_pretrained(proxy).eval()
    windows = np.stack([corpus.stream(domain, "train").read(s, s + length) for s in starts])
    states = model(torch.from_numpy(windows), output_hidden_states=True).hidden_states[layer]
    return states.mean(dim=1).double().mean(dim=0).numpy()


@pytest.mark.parametrize(
    ("changes", "layer", "length"),
    [
        ({"windows": 40}, (LAYERS + 1) // 2, 16),
        ({"windows": 5, "window_length": 7, "layer": 0}, 0, 7),
        ({"windows": 5, "layer": LAYERS}, LAYERS, 16),
    ],
)
def test_equals_a_transformers_computation(toy, proxy, raw, tmp_path, changes, layer, length):
    s, out = spec(raw, **changes), tmp_path / "left.json"
    measure.embed(s, toy.manifests[:1], proxy, out, 1)
    found, corpus = read_json(out, "embeddings"), TokenCorpus(toy.manifests[0])
    assert found["layer"] == layer and found["window_length"] == length
    for domain in ("twin_one", "unique"):
        stream = corpus.stream(domain, "train")
        starts = window_starts(stream, s["windows"], length, s["seeds"]["windows"], domain)
        assert len(starts) == changes["windows"]
        expected = by_transformers(proxy, corpus, domain, starts, length, layer)
        np.testing.assert_allclose(found["rows"][domain], expected, rtol=1e-4, atol=1e-6)
    assert found["proxy_sha256"] == sha256_file(proxy / "model.safetensors")
    assert found["corpus_sha256"] == corpus.sha256 and found["tokenizer_sha256"] == corpus.tokenizer_sha256
    cost = read_json(tmp_path / "left.run.json", "run")["cost"]
    assert cost["tokens"] == 2 * changes["windows"] * length
    per_token = flops_per_token(SHAPE, training=False, layers=layer, length=length)
    assert cost["flops"] == cost["tokens"] * per_token


@pytest.mark.parametrize(("blocks", "index"), [(1, 1), (2, 1), (3, 2), (4, 2), (6, 3), (12, 6)])
def test_the_middle_of_n_plus_one_hidden_states(blocks, index):
    assert middle(blocks) == index == len(range(blocks + 1)) // 2


def test_windows_depend_on_domain_and_seed_alone(toy):
    left, right = (TokenCorpus(m) for m in toy.manifests)
    twin, blend = left.stream("twin_one", "train"), right.stream("blend", "train")
    starts = window_starts(twin, 100, 16, 5, "twin_one")
    assert len(set(starts.tolist())) == 100 and (np.diff(starts) > 0).all()
    assert starts[0] >= 0 and starts[-1] <= len(twin) - 16
    np.testing.assert_array_equal(starts, window_starts(twin, 100, 16, 5, "twin_one"))
    assert not np.array_equal(starts, window_starts(twin, 100, 16, 6, "twin_one"))
    assert not np.array_equal(starts, window_starts(twin, 100, 16, 5, "other"))
    assert window_starts(blend, 100, 16, 5, "blend")[-1] > len(twin), "the whole stream is used"


def test_embedding_twice_gives_the_same_bytes(toy, proxy, raw, tmp_path):
    for name in ("one", "two"):
        measure.embed(spec(raw), toy.manifests[:1], proxy, tmp_path / f"{name}.json", 1)
    measure.embed(spec(raw, seed=1), toy.manifests[:1], proxy, tmp_path / "seed.json", 1)
    one, two, seed = ((tmp_path / f"{n}.json").read_bytes() for n in ("one", "two", "seed"))
    assert one == two and json.loads(one)["rows"] != json.loads(seed)["rows"]


def test_a_domain_does_not_depend_on_its_neighbours(toy, proxy, raw):
    model = Decoder(SHAPE).initialise(0)
    s, corpus = spec(raw), TokenCorpus(toy.manifests[0])
    both, _ = embed(model, corpus, s)
    alone, _ = embed(model, corpus, {**s, "domains": ["unique"]})
    assert alone["rows"]["unique"] == both["rows"]["unique"] != both["rows"]["twin_one"]


def test_only_the_train_split_is_read(write_shards, raw, tmp_path):
    """Train is all fives, the other splits all nines: the embedding is that of a window of fives."""
    streams = {"d": {s: np.full(100, 5 if s == "train" else 9) for s in ("train", "validation", "test")}}
    corpus = TokenCorpus(write_shards(tmp_path, "left", streams))
    model = Decoder(SHAPE).initialise(0)
    found, tokens = embed(model, corpus, {**spec(raw, windows=85), "domains": ["d"]})
    with torch.no_grad():
        fives = model.hidden(torch.full((1, 16), 5), 2).mean(dim=1)[0].numpy()
    np.testing.assert_allclose(found["rows"]["d"], fives, rtol=1e-5, atol=1e-7)
    assert tokens == 85 * 16, "85 windows of 16 start in 100 tokens"


def test_a_domain_shorter_than_a_window_is_refused(write_shards, raw, tmp_path):
    streams = {"tiny": {s: np.ones(15, int) for s in ("train", "validation", "test")}}
    corpus = TokenCorpus(write_shards(tmp_path, "left", streams))
    with pytest.raises(UserError, match="domain 'tiny': 15 training tokens are fewer than a window of 16"):
        embed(Decoder(SHAPE), corpus, {**spec(raw), "domains": ["tiny"]})


def test_a_window_longer_than_the_context_is_refused(toy, raw):
    with pytest.raises(UserError, match="window_length: 17 is longer than the proxy's context 16"):
        embed(Decoder(SHAPE), TokenCorpus(toy.manifests[0]), {**spec(raw), "window_length": 17})


@pytest.fixture
def files(tmp_path):
    """Return a function that writes two embedding files, the second one changed."""

    def write(**changes):
        paths = []
        for corpus, rows, change in (
            ("left", {"a": [1, 2], "b": [3, 4]}, {}),
            ("right", {"c": [5, 6]}, changes),
        ):
            shas = {f"{what}_sha256": "0" * 64 for what in ("tokenizer", "corpus", "proxy")}
            artefact = {"corpus": corpus, "domains": list(rows), "rows": rows, "layer": 1, "seed": 0,
                        "window_length": 4, "windows": 2, **shas, **change}  # fmt: skip
            paths.append(tmp_path / f"{corpus}.json")
            write_json(paths[-1], artefact, "embeddings")
        return paths

    return write


def test_two_corpora_are_joined_in_the_order_asked_for(files):
    joined = embedding_files.load(files(corpus_sha256="1" * 64), ("c", "a"))
    assert joined.dtype == np.float64 and joined.tolist() == [[5, 6], [1, 2]]


@pytest.mark.parametrize(
    "changes", [{"tokenizer_sha256": "1" * 64}, {"proxy_sha256": "1" * 64}, {"layer": 2}]
)
def test_embeddings_of_two_makes_are_not_joined(files, changes):
    with pytest.raises(UserError, match="made with different tokenizers, proxies or layers"):
        embedding_files.load(files(**changes), ("a", "c"))


def test_a_missing_domain_is_named(files):
    with pytest.raises(UserError, match=r"left\.json, .*right\.json: no embedding of domain 'd'"):
        embedding_files.load(files(), ("a", "d"))
