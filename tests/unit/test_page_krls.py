"""Weights computed in a browser (`pages/static/krls.js`) are those of `chameleon.krls`, to 1e-9."""

import json

import numpy as np
import pytest
from browser import computed, find

from chameleon import krls
from chameleon.pages.document import static

#: Of scores and weights; both are at most one.
CLOSE = 1e-9
CASES = """
const answer = cases.map((one) => {
  const parts = krls.decompose(one.affinity);
  return one.settings.map((s) => {
    const scores = krls.leverageScores(parts, s.ridge, s.normalise);
    const rule = s.mode === "pretrain" ? krls.pretrainWeights : krls.finetuneWeights;
    const plain = krls.leverageScores(parts, s.ridge, false);
    return {scores, weights: rule(scores, s.temperature),
      size: plain.reduce((x, y) => x + y, 0) - krls.shares(parts, s.ridge).reduce((x, y) => x + y, 0)};
  });
});
"""


def settings(rng, affinity, count):
    """Return settings around the affinity's eigenvalues; T such that no weight is all."""
    level = np.trace(affinity) / len(affinity) ** 2 or 1.0
    found = []
    for at in range(count):
        mode = ("pretrain", "finetune")[at % 2]
        typical = len(affinity) if mode == "pretrain" else 1 / len(affinity)
        ridge, temperature = level * 10 ** rng.uniform(-3, 3), typical * 10 ** rng.uniform(-1, 1)
        found.append({"ridge": ridge, "temperature": temperature, "mode": mode, "normalise": at % 3 > 0})
    return found


def affinities(rng):
    """Yield affinities by what they are a case of."""
    for k in (1, 2, 3, 7, 22):
        yield f"{k} domains", krls.affinity(rng.normal(size=(k, 40)))
    yield "more domains than features", krls.affinity(rng.normal(size=(30, 5)))
    yield "200 domains", krls.affinity(rng.normal(size=(200, 64)))
    yield "one, not centred", krls.affinity(rng.normal(size=(1, 4)), centre=False)
    yield "not centred", krls.affinity(3 + rng.normal(size=(9, 12)), centre=False)
    yield "identical", krls.affinity(np.ones((5, 3)))
    twins = rng.normal(size=(4, 6))
    yield "pairs of twins", krls.affinity(np.vstack([twins, twins]))
    yield "one at the centroid", krls.affinity(np.vstack([twins, -twins, np.zeros((1, 6))]))
    yield "tiny", krls.affinity(1e-120 * rng.normal(size=(6, 8)))
    yield "huge", krls.affinity(1e140 * rng.normal(size=(6, 8)))
    yield "rounded", np.round(krls.affinity(rng.normal(size=(6, 8))), 7)


@pytest.mark.slow
def test_any_setting_gives_the_weights_of_the_paper(tmp_path):
    find()
    rng = np.random.default_rng(0)
    cases = [
        {"name": name, "affinity": omega.tolist(), "settings": settings(rng, omega, 6)}
        for name, omega in affinities(rng)
    ]
    answers = computed([static("krls.js"), f"const cases = {json.dumps(cases)};", CASES], tmp_path)
    count = 0
    for case, found in zip(cases, answers, strict=True):
        for setting, got in zip(case["settings"], found, strict=True):
            scores = krls.leverage_scores(case["affinity"], setting["ridge"], setting["normalise"])
            rule = krls.pretrain_weights if setting["mode"] == "pretrain" else krls.finetune_weights
            where = f"{case['name']}: {setting}"
            # Zero is said to be zero, not nearly so.
            assert [s == 0 for s in got["scores"]] == (scores == 0).tolist(), where
            assert got["scores"] == pytest.approx(scores, abs=CLOSE, rel=0), where
            weights = rule(scores, setting["temperature"])
            assert got["weights"] == pytest.approx(weights, abs=CLOSE, rel=0), where
            assert got["size"] == pytest.approx(0, abs=CLOSE), where
            count += 1
    assert count > 80
