"""The sensitivity study from proxies to figures on the toy experiment, against the pipeline's own stages."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_config import RAW

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.embedding import embed as embeddings
from chameleon.embedding import files as embedding_files
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.experiment.specs import study
from chameleon.methods.chameleon import Chameleon
from chameleon.mixing.types import MethodInputs
from chameleon.sensitivity import catalogue, files
from chameleon.sensitivity.embed import embed, means_by_layer
from chameleon.sensitivity.measure import measure
from chameleon.sensitivity.report.figures import make_figures
from chameleon.sensitivity.report.tables import make_tables
from chameleon.stages import measure as measuring
from chameleon.stages import runs
from chameleon.training.model import load_pretrained

DOMAINS = ("twin_one", "unique", "blend")
BLOCK = {
    "scenario": "toy", "ridges": [0.001, 0.1], "temperatures": [1, 20], "layers": "all", "windows": [2, 16],
    "window_lengths": [4], "window_seeds": 4, "proxy_steps": [2, 6], "proxy_scales": ["wide"],
    "checkpoints": [0.5],
}  # fmt: skip


@pytest.fixture(scope="module")
def cfg():
    raw = copy.deepcopy(RAW)
    raw["scales"]["wide"] = copy.deepcopy(raw["scales"]["tiny"])
    raw["scales"]["wide"]["model"]["d_model"] = 32
    return load({**raw, "sensitivity": BLOCK})


@pytest.fixture(scope="module")
def results(toy, cfg, tmp_path_factory):
    """The study's results folder, every rule run as Snakemake would."""
    root = tmp_path_factory.mktemp("results")
    for variant, seed in study.jobs(cfg):
        folder = root / study.model_folder(cfg, variant, seed)
        if variant == study.DEFAULT:
            runs.proxy(specs.proxy(cfg, "toy", seed), toy.manifests, toy.tokenizer, folder, 1)
        else:
            runs.proxy(study.proxy(cfg, variant, seed), toy.manifests, toy.tokenizer, folder, 1)
        out = root / "sensitivity" / "embeddings" / variant / f"seed{seed}.json"
        embed(study.embed(cfg, variant, seed), toy.manifests, folder / "model", out, 1)
    measure(study.measure(cfg), root)
    make_tables(study.report(cfg), root)
    make_figures(study.report(cfg), root)
    return root


@pytest.fixture(scope="module")
def pipeline(toy, cfg, results, tmp_path_factory):
    """Return the pipeline's own k x d embeddings and Chameleon's weights per seed."""
    folder, found = tmp_path_factory.mktemp("pipeline"), {}
    for seed in cfg.seeds:
        paths = []
        for corpus, manifest in zip(("left", "right"), toy.manifests, strict=True):
            paths.append(folder / f"{corpus}{seed}.json")
            spec = specs.embed(cfg, "proxy_toy", corpus, seed)
            measuring.embed(spec, [manifest], results / f"proxies/toy/seed{seed}/model", paths[-1], 1)
        x = embedding_files.load(paths, DOMAINS)
        inputs = MethodInputs(DOMAINS, {}, Chameleon.defaults, 0, 1, embeddings=x)
        found[seed] = x, list(Chameleon().weights(inputs).schedule.stages[0].weights.values())
    return found


def entry(results: Path, variant: str, seed: int, **where: int) -> np.ndarray:
    found = read_json(results / f"sensitivity/embeddings/{variant}/seed{seed}.json", "sensitivity_embeddings")
    rows = [e["rows"] for e in found["entries"] if all(e[key] == value for key, value in where.items())]
    assert len(rows) == 1, f"{len(rows)} entries at {where}"
    return np.array([rows[0][d] for d in DOMAINS])


def test_the_default_is_exactly_the_pipelines(results, pipeline):
    table = files.read(results, "sensitivity")
    for seed, (x, weights) in pipeline.items():
        mine = entry(results, "default", seed, layer=1, window_length=16, windows=8, window_seed=seed)
        np.testing.assert_array_equal(mine, x)
        for factor, setting in plan_defaults(results).items():
            rows = table[(table["factor"] == factor) & (table["setting"] == setting)]
            rows = rows[(rows["proxy_seed"] == seed) & (rows["window_seed"] == seed)]
            assert rows["domain"].tolist() == list(DOMAINS)
            np.testing.assert_allclose(rows["weight"], weights, rtol=1e-12, err_msg=factor)


def plan_defaults(results):
    found = files.read(results, "sensitivity_distances")
    return dict(found[found["default"]].drop_duplicates("factor")[["factor", "setting"]].to_numpy())


def test_every_setting_of_every_factor_is_there(cfg, results):
    table = files.read(results, "sensitivity")
    expected = {"ridge": {"0.001", "0.1", "10"}, "temperature": {"1", "5", "20"}, "layer": {"0", "1", "2"},
                "windows": {"2", "8", "16"}, "window_length": {"4", "16"}, "proxy_steps": {"2", "4", "6"},
                "proxy_scale": {"tiny", "wide"}, "seed": {"0", "1", "2", "3"}}  # fmt: skip
    assert {f: set(g["setting"]) for f, g in table.groupby("factor")} == expected
    sums = table.groupby(["factor", "setting", "proxy_seed", "window_seed"])["weight"].sum()
    np.testing.assert_allclose(sums, 1)
    crossed = table[table["factor"] == "seed"]
    assert len(crossed) == 2 * 4 * len(DOMAINS)


def test_all_layers_of_one_pass_are_those_of_one_pass_each(toy, results):
    model = load_pretrained(results / "proxies/toy/seed0/model").eval()
    stream = TokenCorpus(toy.manifests[0]).stream("unique", "train")
    starts = embeddings.window_starts(stream, 20, 16, 3, "unique")
    found = means_by_layer(model, stream, starts, 16, [0, 2])
    for layer in (0, 2):
        expected = embeddings.window_means(model, stream, starts, 16, layer)
        np.testing.assert_array_equal(found[layer], expected)


def test_more_windows_are_unions_and_fewer_are_parts(toy, cfg, results):
    """A union's mean is the mean of its draws (no window twice here); a part lies near, not at, its draw."""
    draws = [
        entry(results, "default", 0, layer=1, window_length=16, windows=8, window_seed=d) for d in range(4)
    ]
    for first in (0, 2):
        union = entry(results, "default", 0, layer=1, windows=16, window_seed=first)
        np.testing.assert_allclose(union, (draws[first] + draws[first + 1]) / 2, rtol=1e-6, atol=1e-8)
    part = entry(results, "default", 0, layer=1, windows=2, window_seed=1)
    assert not np.allclose(part, draws[1]) and np.abs(part - draws[1]).max() < np.abs(draws[1]).max()


def test_keeping_checkpoints_changes_no_training(toy, cfg, results, tmp_path):
    spec = study.proxy(cfg, "steps_6", 0)
    assert spec["checkpoints"] == [3]
    runs.proxy({**spec, "checkpoints": []}, toy.manifests, toy.tokenizer, tmp_path, 1)
    kept = results / "sensitivity/proxies/steps_6/seed0/model"
    assert (tmp_path / "model/model.safetensors").read_bytes() == (kept / "model.safetensors").read_bytes()
    third = kept / "checkpoints/step3/model.safetensors"
    assert third.read_bytes() != (kept / "model.safetensors").read_bytes()
    assert not (tmp_path / "model/checkpoints").exists()
    found = read_json(results / "sensitivity/embeddings/steps_6/seed0.json", "sensitivity_embeddings")
    assert [c["step"] for c in found["checkpoints"]] == [3]


def test_recipes_and_their_cost(results):
    found = files.read(results, "sensitivity_averaging")
    one = found[(found["recipe"] == "one proxy") & (found["how"] == "sd over seeds")]
    assert one["steps"].tolist() == one["total_steps"].tolist() == [2, 4, 6]
    assert one.set_index("steps").loc[6, "shift"] == 0, "the longest proxies are what shift is measured from"
    averaged = found[found["recipe"] == "weights of several proxies averaged"].set_index("steps")
    assert averaged["total_steps"].tolist() == [4, 8, 12]
    # For a mean the jackknife is the standard error: 1/√2 of one proxy's spread with two seeds.
    ratio = averaged["repetition"] / one.set_index("steps")["repetition"]
    np.testing.assert_allclose(ratio, 1 / np.sqrt(2))
    assert len(found[found["recipe"].str.contains("2 checkpoints")]) == 2
    counted = found[found["how"] == "components of variance"]
    assert counted["windows"].tolist()[:3] == [2, 8, 16] and pd.isna(counted["windows"].iloc[-1])
    assert counted["repetition"].iloc[-1] <= counted["repetition"].iloc[1], "a part of the whole"


def test_eigenvalues_of_the_default_are_the_methods(results, pipeline):
    found = files.read(results, "sensitivity_eigenvalues")
    mine = found[(found["factor"] == "default") & (found["proxy_seed"] == 1)]
    x = pipeline[1][0] - pipeline[1][0].mean(axis=0)
    np.testing.assert_allclose(mine["eigenvalue"], np.linalg.eigvalsh(x @ x.T)[::-1], atol=1e-9)
    assert set(mine["k_lambda"]) == {30.0}


def test_records_say_what_was_read_and_what_it_cost(cfg, results):
    record = read_json(results / "sensitivity/embeddings/default/seed0.run.json", "run")
    # All draws and lengths of three domains: 4 x 8 x 16 tokens, and 8 x 4 of the short windows.
    assert record["cost"]["tokens"] == 3 * (4 * 8 * 16 + 8 * 4)
    assert any(path.endswith("model.safetensors") for path in record["inputs"])


def test_the_report_is_complete_and_the_same_twice(cfg, results, tmp_path):
    expected = {f"tables/sensitivity_{n}.{kind}" for n in catalogue.TABLES for kind in ("csv", "md", "html")}
    expected |= {f"figures/sensitivity_{n}.{kind}" for n in catalogue.FIGURES for kind in ("png", "pdf")}
    assert expected == {
        f"{p.parent.name}/{p.name}" for d in ("tables", "figures") for p in (results / d).iterdir()
    }
    for name in catalogue.TIDY:
        (tmp_path / f"{name}.csv").write_bytes((results / f"{name}.csv").read_bytes())
    make_tables(study.report(cfg), tmp_path)
    make_figures(study.report(cfg), tmp_path, ["eigenvalues"])
    again = [f"{p.parent.name}/{p.name}" for p in tmp_path.glob("*/*")]
    assert len(again) == 3 * 3 + 2
    for name in again:
        assert (tmp_path / name).read_bytes() == (results / name).read_bytes(), name


def test_the_advice_is_made_of_the_tables_numbers(results):
    text = (results / "tables/sensitivity_summary.md").read_text(encoding="utf-8").split("\n\n")[1]
    shares = files.read(results, "sensitivity_variance").set_index(["domain", "component"])["share"]
    assert text.startswith(
        f"Of the variance of the default's weights over seeds, {100 * shares['all', 'proxy']:.0f} %"
    )
    recipes = files.read(results, "sensitivity_averaging")
    one = recipes[(recipes["recipe"] == "one proxy") & (recipes["how"] == "sd over seeds")].set_index("steps")
    assert f"6 steps: {one.loc[6, 'repetition']:.3f} between users, 0.000 from the longest" in text
    needed = int(np.ceil((one.loc[6, "repetition"] / 0.05) ** 2))
    assert f"{needed} of 6 steps ({6 * needed} in all)" in text
    for steps, row in one.iterrows():
        warned = f"in all), but then on weights {row['shift']:.3f} from the longest's"
        assert (warned in text) == (row["shift"] > row["repetition"]), steps
    assert (
        f"2 steps: {recipes[recipes['recipe'].str.contains('checkpoints')]['repetition'].iloc[0]:.3f} instead"
        in text
    )


def test_a_study_of_one_seed_says_what_it_cannot_tell(toy, results, tmp_path):
    raw = copy.deepcopy(RAW) | {"seeds": [0], "sensitivity": {"scenario": "toy", "ridges": [1]}}
    cfg = load(raw)
    assert study.jobs(cfg) == [("default", 0)]
    out = tmp_path / "sensitivity/embeddings/default/seed0.json"
    embed(study.embed(cfg, "default", 0), toy.manifests, results / "proxies/toy/seed0/model", out, 1)
    measure(study.measure(cfg), tmp_path)
    make_tables(study.report(cfg), tmp_path)
    make_figures(study.report(cfg), tmp_path, ["seeds", "layer"])
    assert "shows no spread" in (tmp_path / "tables/sensitivity_variance.md").read_text()
    assert files.read(tmp_path, "sensitivity_averaging")["repetition"].isna().all()


def test_a_missing_or_other_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"sensitivity\.csv: no such file"):
        files.read(tmp_path, "sensitivity")
    (tmp_path / "sensitivity.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="columns a, b; expected factor"):
        files.read(tmp_path, "sensitivity")
