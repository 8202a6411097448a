"""Methods in a folder of the user's own, through the real workflow: extra runs, and weights that move."""

import csv
import json
import re
from pathlib import Path

import pytest
from checkout import ROOT, Checkout, make_checkout

pytestmark = pytest.mark.slow
CONFIG = """
results_dir: results
seeds: [0]
run: [pretrain]
sensitivity: null
scenarios: {pretrain: {corpora: [toy], methods: [probe, swing], fewshot: false}}
corpora: {toy: {documents: 200, domains: [twin_one, unique]}}
scales: {smoke: {train: {steps: 7}}}
evaluation: {test_tokens: 256, validation_tokens: 256}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One for both tests, whose text and tokenizer are the same."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def methods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both toy methods; the online one also asks for embeddings, which its controller must be given."""
    folder = tmp_path_factory.mktemp("methods")
    for file in (ROOT / "tests" / "data" / "methods").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.stem == "swing":
            text = text.replace("online = True", 'online = True\n    requires = frozenset({"embeddings"})')
            text = text.replace(
                "losses = state.validation_losses()",
                "assert self.inputs.embeddings.shape == (2, 32) and self.inputs.start\n"
                "        losses = state.validation_losses()",
            )
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


def test_extra_runs_and_moving_weights(checkout: Checkout, methods: Path) -> None:
    overlay = checkout.overlay(CONFIG)
    # All that is computed; drawing it takes longer and is the smoke run's.
    tidy = [f"results/{name}.csv" for name in ("metrics", "weights", "costs")]
    done = checkout.snakemake(*tidy, *overlay, CHAMELEON_METHOD_PATH=str(methods))
    assert done.returncode == 0, done.stdout + done.stderr
    results = checkout.root / "results"

    def rows(name: str, **where: str) -> list[dict[str, str]]:
        with open(results / f"{name}.csv", encoding="utf-8") as handle:
            return [r for r in csv.DictReader(handle) if where.items() <= r.items()]

    # Two runs of two steps, 8 blocks of 32 tokens each, and their validation passes of 2 x 256 tokens.
    assert [r["tokens"] for r in rows("costs", method="probe", stage="extra")] == [str(2 * (2 * 256 + 512))]
    probe = json.loads((results / "weights/pretrain/probe/seed0.json").read_text(encoding="utf-8"))
    losses = {
        d: json.loads(
            (results / f"runs/pretrain/probe/seed0/extra/no_{d}/result.json").read_text(encoding="utf-8")
        )["loss"][d]
        for d in ("twin_one", "unique")
    }
    asked = probe["stages"][0]["weights"]
    assert asked["twin_one"] == pytest.approx(losses["twin_one"] / sum(losses.values()))
    # Every third step of seven asks again; what was played is what is reported.
    assert sorted({int(r["step"]) for r in rows("weights", method="swing")}) == [0, 3, 6]
    assert [r["stage"] for r in rows("costs", method="swing")] == [
        "proxy",
        "embed",
        "weights",
        "validation",
        "base",
        "evaluate",
    ]
    assert len(rows("metrics", method="swing", metric="mean_perplexity")) == 1
    plan = checkout.plan(*tidy, *overlay, CHAMELEON_METHOD_PATH=str(methods))
    assert plan == {}


def test_the_method_of_contributing_goes_through_the_workflow(checkout: Checkout, tmp_path_factory) -> None:
    """Its code in a folder of the user's and its lines of config: no other file is touched."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("mine")
    code, config = (re.search(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "yaml"))
    assert code is not None and config is not None
    (folder / "tempered.py").write_text(code[1], encoding="utf-8")
    (checkout.root / "contributing.yaml").write_text(config[1], encoding="utf-8")
    small = CONFIG.replace("methods: [probe, swing], ", "")
    overlay = (*checkout.overlay(small), "contributing.yaml")
    wanted = ["results/metrics/pretrain/tempered/seed0.json", "results/weights/pretrain/uniform/seed0.json"]
    done = checkout.snakemake(*wanted, *overlay, CHAMELEON_METHOD_PATH=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((checkout.root / "results/weights/pretrain/tempered/seed0.json").read_text())
    assert found["params"] == {"exponent": 0.3}
    manifest = json.loads((checkout.root / "results/tokens/toy/manifest.json").read_text())
    counts = {d: manifest["domains"][d]["train"]["tokens"] for d in found["domains"]}
    powers = {d: n**0.3 for d, n in counts.items()}
    expected = {d: p / sum(powers.values()) for d, p in powers.items()}
    assert found["stages"][0]["weights"] == pytest.approx(expected)
