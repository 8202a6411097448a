"""Methods of one mixture share a rank and are marked; the noise floor is a number of the data."""

import math

import pandas as pd
import pytest
from tidy_results import BASE, DOMAINS, frames, of_scenario, write

from chameleon.reporting.statistics.comparisons import same_mixture, seed_noise
from chameleon.reporting.statistics.ranking import ranks
from chameleon.reporting.tables import make_tables

TOY = {"toy": "pretrain"}


def with_twin(name="unimax", weight=0.0, seeds=(0, 1, 2)):
    """Return the toy results and a method with uniform's mixture (its weights moved by `weight`)."""
    rows = frames()
    for table in rows.values():
        table += [{**r, "method": name} for r in table if r["method"] == "uniform" and r["seed"] in seeds]
    first = next(r for r in rows["weights"] if r["method"] == name)
    first["weight"] += weight
    return rows


def weights(rows):
    return pd.DataFrame(rows["weights"])


def test_same_mixture_follows_from_the_weights():
    assert same_mixture(weights(frames())) == {}
    # Whatever the name, whatever the order of rows, and to the rounding of how weights were computed.
    assert same_mixture(weights(with_twin("zebra"))) == {"zebra": "uniform"}
    assert same_mixture(weights(with_twin(weight=1e-12)).iloc[::-1]) == {"unimax": "uniform"}
    assert same_mixture(weights(with_twin(weight=1e-4))) == {}
    assert same_mixture(weights(with_twin(seeds=(1,)))) == {"unimax": "uniform"}


def test_weights_that_move_are_no_mixture_that_stays():
    table = weights(with_twin())
    later = table[table["method"] == "unimax"].assign(step=100)
    assert same_mixture(pd.concat([table, later])) == {}


def test_a_shared_mixture_is_ranked_once(tmp_path):
    plain = of_scenario(write(tmp_path / "plain", frames()), "toy")
    twin = of_scenario(write(tmp_path / "twin", with_twin()), "toy")
    same = same_mixture(twin["weights"])
    before, after = ranks(plain["metrics"], DOMAINS), ranks(twin["metrics"], DOMAINS, same)
    assert after == {**before, "unimax": before["uniform"]}
    # Ranked as two, the pair would push the others down.
    twice = ranks(twin["metrics"], DOMAINS)
    assert twice["natural"].mean > before["natural"].mean
    # Where the first of the mixture has no results, the next stands for it.
    left = twin["metrics"][twin["metrics"]["method"] != "uniform"]
    assert ranks(left, DOMAINS, same)["unimax"].high <= 3


def test_noise_floor_is_the_distance_of_uniform_s_seeds(tmp_path):
    metrics = of_scenario(write(tmp_path), "toy")["metrics"]
    means = [sum(math.log(BASE[d] + s) for d in DOMAINS) / 3 for s in (0, 1, 2)]
    assert seed_noise(metrics) == pytest.approx(
        [means[1] - means[0], means[2] - means[0], means[2] - means[1]]
    )


def test_the_main_table_marks_twins_and_states_the_floor(tmp_path):
    make_tables(write(tmp_path, with_twin()), tmp_path / "out", TOY)
    text = (tmp_path / "out" / "toy_main.md").read_text(encoding="utf-8")
    assert "| unimax, same mixture as uniform |" in text and "| natural |" in text
    found = pd.read_csv(tmp_path / "out" / "toy_main.csv").query("quantity == 'mean_rank'")
    place = found.set_index("method")["mean"]
    assert place["unimax"] == place["uniform"]
    apart = seed_noise(of_scenario(tmp_path, "toy")["metrics"])
    floor = f"uniform of one seed against another differs by {sum(apart) / 3:.4f} nats/token"
    assert floor in text and f"at most {max(apart):.4f}" in text


def test_one_seed_has_no_noise_floor(tmp_path):
    make_tables(write(tmp_path, frames(seeds=(0,))), tmp_path / "out", TOY)
    assert "Noise floor" not in (tmp_path / "out" / "toy_main.md").read_text(encoding="utf-8")
