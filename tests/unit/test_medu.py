"""MEDU: ratings become utilities, the portfolio is UtiliMax's, bad files and parameters are refused."""

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods import utilities
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs

DOMAINS = ("wiki", "books", "code")
RATINGS = "name,law,sums\nwiki,1,5\nwiki,3,\nbooks,5,1\ncode,1,1\nother,9,9\n"


@pytest.fixture
def rated(tmp_path):
    def solve(text=RATINGS, domains=DOMAINS, **params):
        file = tmp_path / "ratings.csv"
        file.write_text(text)
        given = {"ratings": str(file), "scale": [1, 9], "risk": 0.1, **params}
        params = registry.parameters("medu", given, "here")
        method = registry.get("medu")
        method.check(params, domains, {})
        counts = dict.fromkeys(domains, 10**6)
        found = method.weights(MethodInputs(domains, counts, params, 0, 10, token_budget=1000))
        return found.schedule.stages[0].weights, found.diagnostics

    return solve


def test_ratings_are_averaged_and_scaled(rated):
    _, diagnostics = rated()
    assert diagnostics["utility"] == {
        "books": {"law": 0.5, "sums": 0.0},
        "code": {"law": 0.0, "sums": 0.0},
        "wiki": {"law": 0.125, "sums": 0.5},
    }


def test_the_portfolio_is_that_of_the_utilities(rated):
    weights, diagnostics = rated()
    utility = np.array([[0.5, 0.0], [0.0, 0.0], [0.125, 0.5]])
    expected = utilities.invest(utility, np.ones(3), 0.3)
    assert list(weights) == list(DOMAINS)
    assert [weights[d] for d in ("books", "code", "wiki")] == pytest.approx(expected.weights, abs=1e-12)
    assert weights["code"] < min(weights["books"], weights["wiki"])
    assert diagnostics["objective"] == pytest.approx(expected.objective)


def test_two_tasks_want_both_domains(rated):
    weights, _ = rated(risk=0.0)
    assert weights["code"] == pytest.approx(0, abs=1e-6)


def test_one_domain(rated):
    assert rated(domains=("wiki",))[0] == {"wiki": 1.0}


@pytest.mark.parametrize(
    ("text", "params", "words"),
    [
        (RATINGS, {"ratings": None}, "medu.ratings: None is not the path"),
        (RATINGS, {"ratings": "nowhere.csv"}, "nowhere.csv: no such file"),
        (RATINGS, {"scale": [1, 1]}, "medu.scale: .* is not two numbers"),
        (RATINGS, {"scale": 5}, "medu.scale: 5 is not two numbers"),
        (RATINGS, {"scale": [1, 4]}, r"line 4: column 'law': 5 is not from 1 to 4"),
        (RATINGS, {"risk": -1}, "medu.risk: -1"),
        (RATINGS.replace("code,1,1\n", ""), {}, "column 'law': no rating of domain 'code'"),
        (RATINGS.replace("books,5,1", "books,5,"), {}, "column 'sums': no rating of domain 'books'"),
        (RATINGS.replace("code,1,1", "code,good,1"), {}, "line 5: column 'law': 'good' is no number"),
        (RATINGS.replace("name", "run"), {}, "no column 'name'"),
    ],
)
def test_refused(rated, text, params, words):
    with pytest.raises(UserError, match=words) as error:
        rated(text, **params)
    assert "\n" not in str(error.value)
