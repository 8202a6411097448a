"""The short form of `make chaos`: jobs are killed at random moments, and the run comes out all the same."""

from pathlib import Path

import pytest
from chaos import ALL, CONFIG
from checkout import Checkout, make_checkout
from killing import Workflow, digests, torment

from chameleon.experiment.load import load_files
from chameleon.mixing import registry

ROOT = Path(__file__).resolve().parents[2]
KILLS = 4
#: An online method and one with an objective of its own.
TARGETS = tuple(f"results/smoke/metrics/pretrain/{method}/seed0.json" for method in ("aioli", "doge"))


def test_every_method_is_in_the_full_form(tmp_path: Path) -> None:
    overlay = tmp_path / "all.yaml"
    overlay.write_text(CONFIG + ALL, encoding="utf-8")
    cfg = load_files([ROOT / "config.yaml", ROOT / "configs" / "smoke.yaml", overlay])
    run = {cfg.method(label)[0].name for scenario in cfg.scenarios for label in cfg.methods(scenario)}
    assert run == set(registry.names())


@pytest.mark.slow
def test_killed_jobs_change_nothing(smoke: Checkout, tmp_path: Path) -> None:
    """Against the smoke run, which nobody disturbed and which saved no state."""
    make_checkout(tmp_path)
    (tmp_path / "overlay.yaml").write_text("states: {steps: 5, minutes: null}\n", encoding="utf-8")
    workflow = Workflow(tmp_path, ("configs/smoke.yaml", "overlay.yaml"), "results/smoke", targets=TARGETS)
    whole = digests(smoke.root / "results" / "smoke")
    tally = torment(workflow, whole, KILLS, seed=2, pause=1.5, partial=True)
    said = (tmp_path / "said.log").read_text(encoding="utf-8")
    assert tally.kills >= KILLS and not tally.wrong, (tally, said[-3000:])
    assert all((tmp_path / target).exists() for target in TARGETS)
