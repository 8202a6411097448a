"""KRLS and its weights: reference numbers, closed forms, scipy, invariants, degenerate and broken input."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import null_space, solve
from scipy.special import softmax
from scipy.stats import ortho_group

from chameleon.embedding.layers import domain_mean
from chameleon.krls import affinity, finetune_weights, leverage_scores, pretrain_weights, scores_of

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((GOLDEN / "chameleon_krls.json").read_text())
FIGURE_1, *FIGURE_1_RIDGES = json.loads((GOLDEN / "chameleon_figure1.json").read_text())
#: Cases whose reference numbers hold rounding: stated tolerance 1e-6, the others 1e-9.
ROUNDED = {"k5_rank1", "k4_identical", "k7_huge_norm_1e6"}
HUGE = "k7_huge_norm_1e6"


def case(name: str) -> dict:
    return next(c for c in CASES if c["name"] == name)


def close(actual, expected, rtol: float, atol: float = 1e-14) -> None:
    np.testing.assert_allclose(actual, np.array(expected, dtype=float), rtol=rtol, atol=atol)


@pytest.mark.parametrize("c", [c for c in CASES if c["name"] != HUGE], ids=lambda c: c["name"])
def test_reference_numbers(c):
    """Every stage against the reference code's output, and the paper's form through the two switches."""
    rtol = 1e-6 if c["name"] in ROUNDED else 1e-9
    x, ridge = np.array(c["embeddings"]), c["ridge"]
    omega = affinity(x)
    close(omega, c["affinity"], rtol, atol=1e-12 * np.abs(c["affinity"]).max())
    close(leverage_scores(omega, ridge, normalise=False), c["scores_unnormalised"], rtol)
    scores = leverage_scores(omega, ridge)
    if None not in c["scores"]:  # the reference answers k4_identical with NaN; ours is tested below
        close(scores, c["scores"], rtol)
        close(pretrain_weights(scores, c["pretrain_temperature"]), c["pretrain"], rtol)
        close(finetune_weights(scores, c["finetune_temperature"]), c["finetune"], rtol)
    paper = c["uncentred"]
    omega = affinity(x, centre=False)
    close(omega, paper["affinity"], rtol, atol=1e-12 * np.abs(paper["affinity"]).max())
    scores = leverage_scores(omega, ridge, normalise=False)
    close(scores, paper["scores"], rtol)
    close(pretrain_weights(scores, 1.0), paper["pretrain"], rtol)
    close(finetune_weights(scores, 1.0), paper["finetune"], rtol)


def test_reference_numbers_where_the_ridge_is_negligible():
    """Embeddings of norm 1e6: every score is 6/7 (unnormalised), every weight 1/7, and ours are.

    The recorded numbers carry up to 8e-6 of rounding: the centred kernel's null direction is lost beneath
    entries of 1e13 and then compared with kλ = 70. The reference's formula run on another processor
    differs from them by as much, so they bound us at 1e-5; the truth at 1e-9.
    """
    c = case(HUGE)
    omega = affinity(c["embeddings"])
    close(omega, c["affinity"], 1e-6)
    raw, scores = leverage_scores(omega, 10, normalise=False), leverage_scores(omega, 10)
    close(raw, np.full(7, 6 / 7), 1e-9)
    close(scores, np.full(7, 1 / 7), 1e-9)
    close(raw, c["scores_unnormalised"], 1e-5)
    close(scores, c["scores"], 1e-5)
    for weights, key in ((pretrain_weights(scores), "pretrain"), (finetune_weights(scores), "finetune")):
        close(weights, np.full(7, 1 / 7), 1e-9)
        close(weights, c[key], 1e-5)
    paper = affinity(c["embeddings"], centre=False)
    close(leverage_scores(paper, 10, normalise=False), c["uncentred"]["scores"], 1e-6)


@pytest.mark.parametrize("c", FIGURE_1_RIDGES, ids=lambda c: f"ridge{c['ridge']}")
def test_affinity_printed_in_the_paper(c):
    omega = FIGURE_1["affinity"]
    raw, scores = leverage_scores(omega, c["ridge"], normalise=False), leverage_scores(omega, c["ridge"])
    close(raw, c["scores_unnormalised"], 1e-9)
    close(scores, c["scores"], 1e-9)
    close(pretrain_weights(scores), c["pretrain"], 1e-9)
    close(finetune_weights(scores), c["finetune"], 1e-9)
    close(finetune_weights(raw, 1.0), c["finetune_paper"], 1e-9)
    # These were computed without the 1e-12 beside s, which moves a weight of 1e-9 by 1e-9 of itself.
    close(pretrain_weights(raw, 1.0), c["pretrain_paper"], 1e-8)


def test_domain_mean_counts_equal_windows_once():
    golden = json.loads((GOLDEN / "chameleon_domain_mean.json").read_text())
    rows, labels = np.array(golden["embeddings"]), np.array(golden["labels"])
    for label, unique in enumerate(golden["unique_rows"]):
        close(domain_mean(rows[labels == label]), unique, 1e-12)


def test_domain_mean_does_not_depend_on_the_order_of_windows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 4)).astype(np.float32)
    mean = domain_mean(rows)
    assert mean.dtype == np.float64
    np.testing.assert_array_equal(mean, domain_mean(rng.permutation(rows)))


@pytest.mark.parametrize("rows", [[], [1.0, 2.0], [[]], [[1.0, np.nan]], [[np.inf]]])
def test_domain_mean_refuses_broken_rows(rows):
    with pytest.raises(ValueError, match="rows"):
        domain_mean(rows)


def embeddings(seed: int = 0, k: int = 6, d: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=(k, d)) + 7


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_against_scipy(centre, normalise):
    x, ridge = embeddings(), 2.5
    h = np.eye(6) - centre / 6
    gram = h @ (x @ x.T) @ h
    score = np.diag(solve(gram + 6 * ridge * np.eye(6), gram, assume_a="pos"))
    score = score / score.sum() if normalise else score
    ours = leverage_scores(affinity(x, centre), ridge, normalise)
    close(affinity(x, centre), gram, 1e-10, atol=1e-10)
    close(ours, score, 1e-10)
    close(pretrain_weights(ours, 3.0), softmax(1 / score / 3), 1e-9)
    close(finetune_weights(ours, 0.3), softmax(score / 0.3), 1e-9)


def test_orthogonal_domains_closed_form():
    """Uncentred orthogonal rows of norm n_i: s_i = n_i² / (n_i² + kλ)."""
    norms = np.array([1.0, 2.0, 5.0])
    scores = leverage_scores(affinity(np.diag(norms), centre=False), ridge=4.0, normalise=False)
    close(scores, norms**2 / (norms**2 + 12), 1e-14)


def test_a_dominating_ridge_leaves_the_centred_norms():
    x = embeddings()
    square = ((x - x.mean(0)) ** 2).sum(1)
    for ridge in (1e12, 1e300, 1e308):
        close(leverage_scores(affinity(x), ridge), square / square.sum(), 1e-9)


def test_two_domains_are_always_uniform_after_centring():
    for seed in range(5):
        scores = leverage_scores(affinity(embeddings(seed, k=2)))
        close(scores, [0.5, 0.5], 1e-12)
        close(pretrain_weights(scores), [0.5, 0.5], 1e-12)


@pytest.mark.parametrize("centre", [True, False])
def test_permuting_domains_permutes_scores(centre):
    x, order = embeddings(), np.array([3, 0, 5, 1, 4, 2])
    scores = leverage_scores(affinity(x, centre), 1.0)
    close(leverage_scores(affinity(x[order], centre), 1.0), scores[order], 1e-10)
    close(pretrain_weights(scores[order]), pretrain_weights(scores)[order], 1e-12)
    close(finetune_weights(scores[order]), finetune_weights(scores)[order], 1e-12)


def test_rotation_changes_nothing_and_a_shift_only_without_centring():
    x = embeddings()
    turned = x @ ortho_group.rvs(9, random_state=1)
    for centre in (True, False):
        close(leverage_scores(affinity(turned, centre)), leverage_scores(affinity(x, centre)), 1e-9)
    shift = np.linspace(-50, 50, 9)
    close(leverage_scores(affinity(x + shift)), leverage_scores(affinity(x)), 1e-9)
    moved = leverage_scores(affinity(x + shift, centre=False)) - leverage_scores(affinity(x, centre=False))
    assert np.abs(moved).max() > 1e-3


def test_the_rare_domain_gains_in_finetuning_and_loses_in_pretraining():
    x = np.vstack([np.random.default_rng(0).normal(size=(5, 8)), np.full(8, 30.0)])
    scores = leverage_scores(affinity(x))
    assert scores.argmax() == pretrain_weights(scores).argmin() == finetune_weights(scores).argmax() == 5


@pytest.mark.parametrize("scale", [1e-160, 1e-60, 1e-9, 1.0, 1e9, 1e60, 1e150])
def test_scores_follow_the_ridge_over_all_magnitudes(scale):
    """Scaling X by c and λ by c² changes nothing; extreme scales neither overflow nor lose digits."""
    x, ridge = embeddings(), 10.0 * scale**2
    if ridge == 0:  # c² underflows with Ω: the answer is that of identical domains
        close(leverage_scores(affinity(x * scale)), np.full(6, 1 / 6), 1e-12)
    elif scale > 1e-100:
        close(leverage_scores(affinity(x * scale), ridge), leverage_scores(affinity(x)), 1e-9)


def on_the_simplex(weights: np.ndarray) -> bool:
    return bool(np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) < 1e-12)


@pytest.mark.parametrize("row", [[0.0, 0.0], [0.1, -0.7], [1e8, 1 / 3]])
def test_identical_domains_are_uniform(row):
    omega = affinity(np.tile(row, (5, 1)))
    assert (omega == 0).all()
    scores = leverage_scores(omega)
    np.testing.assert_array_equal(scores, np.full(5, 0.2))
    np.testing.assert_array_equal(leverage_scores(omega, normalise=False), np.zeros(5))
    for s in (scores, np.zeros(5)):
        close(pretrain_weights(s), np.full(5, 0.2), 1e-15)
        close(finetune_weights(s), np.full(5, 0.2), 1e-15)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1e3])
def test_domains_at_the_centroid_share_the_pretraining_weight(shift):
    line = np.array([[-2.0, 1.0], [-1.0, 0.5], [0.0, 0.0], [0.0, 0.0], [1.0, -0.5], [2.0, -1.0]]) + shift
    scores = leverage_scores(affinity(line))
    assert scores[2] == scores[3] == 0
    np.testing.assert_array_equal(pretrain_weights(scores), [0, 0, 0.5, 0.5, 0, 0])
    assert finetune_weights(scores).argmin() in (2, 3)
    assert (finetune_weights(scores) > 0).all()


def test_one_domain_gets_everything():
    for centre in (True, False):
        scores = leverage_scores(affinity([[3.0, 4.0]], centre))
        assert scores.tolist() == [1.0]
        assert pretrain_weights(scores).tolist() == finetune_weights(scores).tolist() == [1.0]


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e-3, 5.0, 1e300])
def test_softmax_cannot_overflow(temperature):
    scores = [0.0, 5e-324, 1e-300, 1e-13, 1e-5, 1.0, 1e300]
    with np.errstate(all="raise", under="ignore"):
        assert on_the_simplex(pretrain_weights(scores, temperature))
        assert on_the_simplex(finetune_weights(scores, temperature))


def test_low_rank_and_many_domains():
    """More domains than features: the null space of Ω counts nothing, whatever rounding leaves in it."""
    x = np.random.default_rng(3).normal(size=(60, 4)) * 1e4
    raw = leverage_scores(affinity(x), ridge=1e-9, normalise=False)
    basis = null_space(np.hstack([x, np.ones((60, 1))]).T)
    close(raw, 1 - 1 / 60 - (basis**2).sum(1), 1e-9)
    assert raw.sum() == pytest.approx(4, abs=1e-9)


def test_rounding_in_the_affinity_is_tolerated():
    x = embeddings().astype(np.float32)
    x = x - x.mean(0)
    gram = (x @ x.T).astype(np.float32)
    gram[0, 1] += np.float32(1e-5)
    close(leverage_scores(gram), leverage_scores(affinity(embeddings())), 1e-4)


def test_inputs_are_not_changed():
    x = embeddings()
    omega = affinity(x)
    kept = x.copy(), omega.copy()
    scores = leverage_scores(omega)
    kept_scores = scores.copy()
    pretrain_weights(scores), finetune_weights(scores)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(omega, kept[1])
    np.testing.assert_array_equal(scores, kept_scores)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "matrix"),
        ([[]], "not empty"),
        (np.empty((0, 3)), "not empty"),
        ([1.0, 2.0], "matrix"),
        (np.ones((2, 2, 2)), "matrix"),
        ([[1.0, np.nan]], "NaN"),
        ([[np.inf, 0.0]], "NaN or infinite"),
        ([["a", "b"]], "real numbers"),
        ([[1 + 2j]], "real numbers"),
        ([[1.0], [1.0, 2.0]], "real numbers"),
        (None, "real numbers"),
        ([[1e200, 0.0], [0.0, 1e200]], "overflow"),
        ([[1e308], [-1e308], [1e308]], "overflow"),
    ],
)
def test_broken_embeddings(value, words):
    with pytest.raises(ValueError, match=words):
        affinity(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ones((2, 3)), "k x k"),
        (np.ones(4), "matrix"),
        (np.empty((0, 0)), "not empty"),
        ([[1.0, np.nan], [np.nan, 1.0]], "NaN"),
        ([[1.0, 0.5], [0.4, 1.0]], "not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive semi-definite"),
        ([[-1.0]], "positive semi-definite"),
        ([["x"]], "real numbers"),
    ],
)
def test_broken_affinity(value, words):
    with pytest.raises(ValueError, match=words):
        leverage_scores(value)


@pytest.mark.parametrize("value", [0, 0.0, -1, np.nan, np.inf, "ten", None])
def test_broken_ridge_and_temperature(value):
    with pytest.raises(ValueError, match="ridge must be"):
        leverage_scores(np.eye(2), value)
    for weights in (pretrain_weights, finetune_weights):
        with pytest.raises(ValueError, match="temperature must be"):
            weights([0.5, 0.5], value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "not empty"),
        ([[0.5, 0.5]], "vector"),
        (0.5, "vector"),
        ([0.5, np.nan], "NaN"),
        ([0.5, np.inf], "infinite"),
        ([0.5, -0.1], "negative"),
        ([-1e-20], "negative"),
    ],
)
def test_broken_scores(value, words):
    for weights in (pretrain_weights, finetune_weights):
        with pytest.raises(ValueError, match=words):
            weights(value)


def test_scores_negative_by_rounding_count_as_zero():
    np.testing.assert_array_equal(pretrain_weights([0.4, -2e-16, 0.6]), [0, 1, 0])


@pytest.mark.parametrize(("k", "d"), [(5, 20), (20, 5), (400, 3), (7, 7), (2, 1), (1, 4), (3, 1)])
@pytest.mark.parametrize("ridge", [1e-6, 0.1, 10.0, 1e6])
@pytest.mark.parametrize("centre", [True, False])
def test_scores_without_the_square_matrix(k, d, ridge, centre):
    """Through features instead of domains: the same scores, of more domains than features and of fewer."""
    x = np.random.default_rng([k, d]).normal(size=(k, d)) * 3 + 50
    for normalise in (True, False):
        expected = leverage_scores(affinity(x, centre), ridge, normalise)
        close(scores_of(x, ridge, centre, normalise), expected, 1e-6, atol=1e-9 * expected.max())


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e3, 1e30, 1e120])
def test_scores_without_the_square_matrix_at_any_scale(scale):
    x = np.random.default_rng(0).normal(size=(30, 4)) * scale
    found = scores_of(x, 10.0 * scale**2 if scale > 1e-100 else 1e-300)
    assert np.isfinite(found).all() and found.sum() == pytest.approx(1)
    close(found, scores_of(x / scale, 10.0 if scale > 1e-100 else 1.0), 1e-6)


def test_scores_without_the_square_matrix_of_degenerate_domains():
    same = np.tile([1.0, 2.0], (9, 1))
    assert scores_of(same).tolist() == [1 / 9] * 9 and not scores_of(same, normalise=False).any()
    # All on a line, one domain at the centroid.
    line = np.outer(np.arange(-4, 5), [1.0, 2.0])
    found = scores_of(line)
    assert found[4] == 0
    close(found, leverage_scores(affinity(line)), 1e-9)


def test_scores_without_the_square_matrix_refuse_broken_input():
    with pytest.raises(ValueError, match="NaN or infinite"):
        scores_of([[np.nan], [1.0]])
    with pytest.raises(ValueError, match="ridge must be positive"):
        scores_of(np.eye(3)[:, :1], ridge=0)
    with pytest.raises(ValueError, match="too large"):
        scores_of(np.array([[1e200], [-1e200], [3e199]]))


def test_more_domains_than_a_square_matrix_could_hold():
    """As many as a k x k matrix of 80 GB: the scores of two halves that mirror each other agree."""
    half = np.random.default_rng(0).normal(size=(50_000, 4))
    scores = scores_of(np.concatenate([half, -half]), ridge=0.01, normalise=False)
    close(scores[:50_000], scores[50_000:], 1e-9)
    assert scores.sum() == pytest.approx(4, rel=0.02), "effective dimension: four features far above kλ"
