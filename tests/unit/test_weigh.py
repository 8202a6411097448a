"""`weigh`, `add`, `remove`, `compare`, `bench`: files, bytes, equalities, warnings, errors."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from unit import weigh_models

import chameleon
from chameleon.cli import main
from chameleon.core.errors import UserError
from chameleon.experiment.load import load_files
from chameleon.mixture import Domain, Mixture
from chameleon.mixture.epochs import epochs
from chameleon.mixture.settings import Settings, weigh
from chameleon.weighing import intervals, kernel
from chameleon.weighing.advice import advice, repeated

SMALL = {"windows": 16, "window_length": 32}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(weigh_models.make(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return weigh_models.folders(tmp_path_factory.mktemp("text") / "all")


@pytest.fixture(scope="module")
def mix(model, text, tmp_path_factory):
    out = tmp_path_factory.mktemp("mix") / "mix"
    chameleon.weigh(text, model=model, out=out, **SMALL)
    return out


def test_weights_are_krls_of_the_windows_means(mix):
    mixture = Mixture.load(mix)
    from chameleon.weighing import store

    vectors = store.load(mix, mixture.domains)
    embeddings = np.stack([np.unique(rows, axis=0).mean(axis=0) for rows, _ in vectors.values()])
    found = weigh(embeddings, Settings())
    assert list(mixture.weights.values()) == pytest.approx(found.weights, abs=1e-6)
    np.testing.assert_allclose(mixture.affinity, found.affinity, rtol=1e-4)
    assert all(d.low < w < d.high for (n, w) in mixture.weights.items() for d in [mixture.domain(n)])
    assert {d.documents for d in mixture.about.values()} == {40}


def test_same_bytes_every_time(mix, model, text, tmp_path):
    chameleon.weigh(text, model=model, out=tmp_path / "again", **SMALL)
    for name in ("mix.json", "windows.safetensors", "mix.html"):
        assert (tmp_path / "again" / name).read_bytes() == (mix / name).read_bytes()


def test_adding_equals_weighing_all(mix, model, text, tmp_path):
    part = tmp_path / "part"
    chameleon.weigh([text / "code", text / "law"], model=model, out=part, **SMALL)
    grown = chameleon.add(part, [text / "food"], out=tmp_path / "grown")
    whole = Mixture.load(mix)
    assert grown.domains == ("code", "law", "food")
    for name, weight in whole.weights.items():
        assert grown.weights[name] == pytest.approx(weight, abs=1e-6)
        assert grown.domain(name).low == pytest.approx(whole.domain(name).low, abs=1e-6)
    assert Mixture.load(tmp_path / "grown") == grown
    shrunk = chameleon.remove(tmp_path / "grown", ["food"])
    assert shrunk.weights == pytest.approx(Mixture.load(part).weights, abs=1e-9)


def test_what_cannot_be_added_or_removed(mix, text, model, tmp_path):
    with pytest.raises(UserError, match="domain 'food' is in the mixture already"):
        chameleon.add(mix, [text / "food"])
    with pytest.raises(UserError, match="'sea' is not one of code, food, law"):
        chameleon.remove(mix, ["sea"])
    with pytest.raises(UserError, match="no domain is left"):
        chameleon.remove(mix, ["code", "food", "law"])
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(mix / "mix.json", alone)
    with pytest.raises(UserError, match="windows.safetensors: no such file"):
        chameleon.remove(alone, ["food"])
    (alone / "windows.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        chameleon.remove(alone, ["food"])
    changed = json.loads((mix / "mix.json").read_text())
    changed["embedder"]["sha256"] = "0" * 64
    shutil.copy(mix / "windows.safetensors", alone)
    (alone / "mix.json").write_text(json.dumps(changed))
    shutil.copytree(text / "food", tmp_path / "sea")
    with pytest.raises(UserError, match="other weights"):
        chameleon.add(alone, [tmp_path / "sea"])


def test_more_windows_until_the_intervals_are_narrow(model, text):
    few = chameleon.weigh(text, model=model, windows=4, window_length=32)
    half = max((d.high - d.low) / 2 for d in few.about.values())
    more = chameleon.weigh(text, model=model, windows=4, window_length=32, until=half / 2)
    assert max((d.high - d.low) / 2 for d in more.about.values()) <= half / 2
    assert more.domain("law").windows > 4
    assert "--until" not in " ".join(more.warnings)
    capped = chameleon.weigh(text, model=model, windows=4, window_length=32, until=1e-6, drawn=8)
    assert capped.domain("law").windows == 8 and "wider than --until" in " ".join(capped.warnings)
    # The first windows are those of the short run.
    plain = chameleon.weigh(text, model=model, windows=more.domain("law").windows, window_length=32)
    assert plain.weights == pytest.approx(more.weights, abs=1e-6)


def test_batched_weights_are_those_of_krls():
    rng = np.random.default_rng(0)
    sets = rng.normal(size=(40, 6, 9)) * np.exp(rng.normal(size=(40, 1, 1)) * 3)
    sets[7, :] = sets[7, :1]  # domains that do not differ
    forms = [
        Settings(),
        Settings("finetune", 0.1),
        Settings(ridge={"of_trace": 0.2}, temperature={"at": 5, "of": 7}),
        Settings(centre=False, normalise=False, temperature=50.0),
    ]
    for settings in forms:
        many = kernel.weigh_many(sets, settings)
        one = np.array([weigh(x, settings).weights for x in sets])
        np.testing.assert_allclose(many, one, atol=1e-9)


def test_intervals_hold_the_truth():
    """Planted Gaussian windows: 90 % intervals hold the weights of the true means in 85 to 95 % of cases."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 12))
    truth = weigh(centres, Settings()).weights
    held = []
    for user in range(60):
        rows = {str(i): c + rng.normal(size=(48, 12)) for i, c in enumerate(centres)}
        groups = {name: np.arange(48) for name in rows}
        found = intervals.bootstrap(rows, groups, Settings(), 0.9, user)
        held.append((found.low <= truth) & (truth <= found.high))
    assert 0.85 <= np.mean(held) <= 0.95


def test_few_documents_make_the_interval_over_documents_wider():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    documents = {str(i): np.repeat(np.arange(6), 10) for i in range(3)}
    rows = {
        str(i): c + np.repeat(rng.normal(size=(6, 8)), 10, axis=0) + 0.1 * rng.normal(size=(60, 8))
        for i, c in enumerate(centres)
    }
    one = intervals.bootstrap(rows, {n: np.arange(60) for n in rows}, Settings(), 0.9, 0)
    other = intervals.bootstrap(rows, documents, Settings(), 0.9, 0)
    assert other.widest > 2 * one.widest
    assert np.isnan(intervals.bootstrap(rows, {n: np.zeros(60) for n in rows}, Settings(), 0.9, 0).low).all()


def test_influence_is_what_leaving_out_does():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 7))
    weights, left = weigh(x, Settings()).weights, intervals.without(x, Settings())
    np.testing.assert_allclose(left[2, [0, 1, 3, 4]], weigh(np.delete(x, 2, 0), Settings()).weights)
    rest = np.delete(weights, 2) / (1 - weights[2])
    moved = np.abs(rest - left[2, [0, 1, 3, 4]]).sum() / 2
    assert intervals.influence(weights, left)[2] == pytest.approx(moved)
    assert intervals.influence(np.ones(1), intervals.without(x[:1], Settings())) == 0


def warned(x, known=None, until=None, settings=None):
    names = [f"d{i}" for i in range(len(x))]
    about = {n: Domain(low=0.1, high=0.11, documents=1000) for n in names} | (known or {})
    return " ".join(advice(names, about, weigh(np.asarray(x, float), settings or Settings()), until))


def test_warnings():
    far = np.eye(4) * 20
    assert (
        warned(far)
        == "the widest interval is wider than any weight's distance to uniform: more windows are needed"
    )
    x = np.array([[20.0, 0, 0], [0, 25, 0], [0, 0, 10], [-9, 3, 1]])
    assert warned(x) == ""
    assert "d1 has 40 documents" in warned(x, {"d1": Domain(low=0.1, high=0.12, documents=40)})
    assert "d0 and d1 are nearly the same text" in warned(np.vstack([x[:1] + 0.1, x]))
    assert "all domains are the same text" in warned(np.ones((3, 2)))
    middle = np.vstack([far, far.mean(axis=0)])
    assert "d4 takes 100%: it lies at the centroid" in warned(middle)
    assert "no intervals" in warned(x, {"d0": Domain()})
    assert "still ±0.005, wider than --until 0.002" in warned(x, until=0.002)
    assert "times the affinity's trace" in warned(x / 100)
    assert "--ridge of_trace=0.2" in warned(x * 1000)


def test_epochs_at_a_budget():
    known = {"a": Domain(tokens=100.0), "b": Domain()}
    assert epochs({"a": 0.5, "b": 0.5}, known, 1000) == {"a": 5.0, "b": None}
    assert repeated(["a", "b"], [0.5, 0.5], known, 1000) == [
        "a would be read 5.0 times in 1e+03 tokens (export --max-epochs caps it)"
    ]
    assert repeated(["a", "b"], [0.5, 0.5], known, 500) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"mode": "train"}, "mode: 'train' is not one of pretrain, finetune"),
        ({"ridge": 0}, "ridge: 0 "),
        ({"ridge": {"share": 1}}, "neither a number nor {of_trace"),
        ({"temperature": {"at": 5}}, "neither a number nor {at"),
        ({"windows": 0}, "--windows"),
        ({"windows": 2000}, "--windows: 2000 is more than the 1024 that are drawn"),
        ({"until": -1}, "--until"),
        ({"confidence": 90}, "--confidence: 90 is not between 0 and 1"),
        ({"budget": 0}, "--budget"),
    ],
)
def test_values_that_are_none(text, asked, words):
    with pytest.raises(UserError, match=words):
        chameleon.weigh(text, model="/none", **asked)


def test_data_or_a_data_set():
    with pytest.raises(UserError, match="either data"):
        chameleon.weigh()


def test_a_mixture_is_a_fixed_mixture_of_the_benchmark(mix, text, tmp_path):
    out = tmp_path / "mine.yaml"
    commands = chameleon.bench(text, out, [mix])
    assert commands == [
        f"chameleon plan --configfile {out}", f"make reproduce CONFIG={out} REPORT=results/mine/report.html"
    ]  # fmt: skip
    cfg = load_files(["config.yaml", out])
    assert cfg.methods("pretrain")[:3] == ["uniform", "mix", "natural"]
    assert list(cfg.domains("pretrain")) == ["code", "food", "law"]
    from chameleon.mixing import MethodInputs

    method, params = cfg.method("mix")
    inputs = MethodInputs(
        domains=("law", "code", "food"), params=params, token_counts={}, seed=0, total_steps=1
    )
    result = method.weights(inputs).schedule.stages[0].weights
    assert result == pytest.approx(Mixture.load(mix).weights)


def test_folders_that_cannot_name_domains(model, tmp_path):
    root = weigh_models.folders(tmp_path / "all")
    (root / "law").rename(root / "2023 law")
    chameleon.weigh(root, model=model, out=tmp_path / "mix", **SMALL)
    chameleon.bench(root, tmp_path / "mine.yaml", [tmp_path / "mix"])
    cfg = load_files(["config.yaml", tmp_path / "mine.yaml"])
    assert list(cfg.domains("pretrain")) == [
        "d2023_law",
        "code",
        "food",
    ]


def test_a_mixture_of_other_domains_is_no_benchmark(mix, tmp_path):
    root = weigh_models.folders(tmp_path / "all")
    shutil.rmtree(root / "law")
    with pytest.raises(UserError, match='"law" is only in the mixture'):
        chameleon.bench(root, tmp_path / "mine.yaml", [mix])
    assert not (tmp_path / "mine.yaml").exists()


def test_comparing(mix):
    a = Mixture.load(mix)
    b = Mixture.of({"code": 0.5, "sea": 0.5}, about={"code": Domain(low=0.0, high=1e-9)})
    found = chameleon.compare(a, b)
    assert found.rows[-1] == ("sea", None, 0.5) and found.apart == ["code"]
    expected = (abs(a.weights["code"] - 0.5) + a.weights["food"] + a.weights["law"] + 0.5) / 2
    assert found.distance == pytest.approx(expected)
    assert any(line.startswith("law") and " - " in line for line in found.lines("a", "b"))
    other = replace(a, how={**a.how, "temperature": 2.0})
    assert chameleon.compare(a, other).notes == ["settings: temperature: None against 2.0"]
    with pytest.raises(UserError, match="no domain is in both"):
        chameleon.compare(a, Mixture.of({"sea": 1}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "expected a JSON object"),
        ("{}", "holds no weights"),
        ('{"a": "x", "b": 1}', "a: 'x' is not a weight"),
        ('{"a": 0.3, "b": 0.3}', "the weights sum to 0.6, not to 1"),
        ('{"format": 1, "unit": "tokens"}', "'domains' is a required property"),
        ('{"format": 1, "unit": "tokens", "domains": ["a"], "about": {}, "stages": '
         '[{"start_step": 0, "weights": {"b": 1}}]}', "'a' is not in both"),
        ('{"format": 1, "unit": "tokens", "domains": ["a"], "about": {}, "stages": '
         '[{"start_step": 3, "weights": {"a": 1}}]}', "starts at step 0"),
    ],
)  # fmt: skip
def test_files_that_are_no_mixture(tmp_path, content, words):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(UserError, match=words):
        Mixture.load(tmp_path / "m.json")


def test_a_moving_mixture(tmp_path):
    from chameleon.mixing import MixtureSchedule, Stage

    mixture = Mixture(MixtureSchedule((Stage(0, {"b": 1.0, "a": 0.0}), Stage(30, {"b": 0.0, "a": 1.0}))))
    mixture.save(tmp_path / "m.json")
    assert Mixture.load(tmp_path / "m.json") == replace(mixture, about={"b": Domain(), "a": Domain()})
    assert mixture.average(40) == {"b": 0.75, "a": 0.25}
    with pytest.raises(UserError, match="2 stages"):
        _ = mixture.weights


def test_the_command_line(model, text, tmp_path, capsys):
    out = tmp_path / "mix"
    options = ["--windows", "8", "--window-length", "32", "--ridge", "of_trace=0.2"]
    options += ["--temperature", "at=5,of=7", "--budget", "1e6"]
    data = [str(text / "code"), str(text / "law")]
    assert main(["weigh", *data, "--model", model, "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "90% interval" in said and "epochs" in said and "code would be read" in said
    how = Mixture.load(out).how
    assert how["ridge"] == {"of_trace": 0.2} and how["temperature_used"] == pytest.approx(10 / 7)
    assert main(["add", str(out), str(text / "food")]) == 0
    assert main(["remove", str(out), "law", "--out", str(tmp_path / "less")]) == 0
    capsys.readouterr()
    assert main(["compare", str(out), str(tmp_path / "less")]) == 0
    assert "total variation" in capsys.readouterr().out
    assert main(["bench", "--data", str(text), "--mix", str(out), "--out", str(tmp_path / "b.yaml")]) == 0
    assert "make reproduce CONFIG=" in capsys.readouterr().out
    assert main(["weigh", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("error: no such folder or file")
    assert main(["weigh", "--dataset", "x"]) == 2
    assert "--domain-field" in capsys.readouterr().err


def test_token_shards_are_added_with_the_tokenizer_that_made_them(model, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    root = tmp_path / "shards"
    root.mkdir()
    for domain in weigh_models.WORDS:
        text = "\n".join(weigh_models.documents(domain))
        np.save(root / f"{domain}.npy", np.array(tokenizer(text)["input_ids"], np.uint16))
    made = {"model": model, "tokenizer": model, **SMALL}
    whole = chameleon.weigh(root, **made)
    chameleon.weigh([root / "code.npy", root / "food.npy"], out=tmp_path / "part", **made)
    grown = chameleon.add(tmp_path / "part", [root / "law.npy"])
    assert grown.weights == pytest.approx(whole.weights, abs=1e-6)
    assert whole.domain("law").documents is None and whole.domain("law").low is not None
    plain = chameleon.weigh(root, **{**made, "tokenizer": None})
    assert plain.weights == pytest.approx(whole.weights, abs=1e-6), "ids that are turned into text and back"
