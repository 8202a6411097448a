"""Method `fixed` with a published mixture: renamed, checked in one line, scaled to one."""

import pytest

from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs
from chameleon.published import mixtures

SLIM7 = {"papers": "arxiv", "books": "book", "news": "c4", "messy_web": "cc", "code": "github",
         "qa": "stackexchange", "wiki": "wikipedia"}  # fmt: skip
FACTS = {"tokenizer_fingerprint": "0" * 64}


def solve(domains, **params):
    params = registry.parameters("fixed", params, "here")
    method = registry.get("fixed")
    method.check(params, tuple(domains), FACTS)
    assert method.files(params) == []
    result = method.weights(MethodInputs(tuple(domains), dict.fromkeys(domains, 1), params, 0, 10))
    (stage,) = result.schedule.stages
    assert tuple(stage.weights) == tuple(domains)
    return stage.weights


def test_a_published_mixture_under_our_names():
    weights = solve(SLIM7, published="doge_slimpajama", rename=SLIM7)
    printed = {"papers": 0.088, "books": 0.045, "news": 0.269, "messy_web": 0.214, "code": 0.07, "qa": 0.166,
               "wiki": 0.148}  # fmt: skip
    assert weights == pytest.approx(printed, rel=1e-12)
    moved = tuple(reversed(SLIM7))
    assert solve(moved, published="doge_slimpajama", rename=SLIM7) == pytest.approx(printed, rel=1e-12)


@pytest.mark.parametrize("name", list(mixtures()))
def test_every_published_mixture_trains_under_its_own_names(name):
    printed = mixtures()[name].weights
    weights = solve(printed, published=name)
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
    assert weights == pytest.approx(printed, rel=2e-4)


def test_part_of_a_mixture_shares_the_rest_in_proportion():
    rename = {"web": "Pile-CC", "papers": "ArXiv", "code": "Github"}
    with pytest.raises(UserError, match=r"no domain takes the weight of PubMed Central, .*\(0\.373 in all\)"):
        solve(rename, published="doremi_pile_280m", rename=rename)
    weights = solve(rename, published="doremi_pile_280m", rename=rename, partial=True)
    total = 0.6057 + 0.0036 + 0.0179
    assert weights == pytest.approx({"web": 0.6057 / total, "papers": 0.0036 / total, "code": 0.0179 / total})


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"published": "doremi"}, "mixture 'doremi' is not one of doge_slimpajama, .*regmix_pile_cc"),
        ({"published": 3}, "published mixture 3 is not one of doge_slimpajama"),
        ({"published": "doge_slimpajama"},
         "published doge_slimpajama: domain papers: 'papers' is not one of arxiv, book, c4, cc, github"),
        ({"published": "doge_slimpajama", "rename": {**SLIM7, "papers": "arXiv"}},
         "rename papers: 'arXiv' is not one of arxiv, book"),
        ({"published": "doge_slimpajama", "rename": {**SLIM7, "extra": "cc"}},
         "rename: domain 'extra' is not one of papers, books"),
        ({"published": "doge_slimpajama", "rename": {**SLIM7, "news": "cc"}},
         "cc goes to both news and messy_web; rename one of them"),
        ({"published": "doge_slimpajama", "rename": ["papers"]}, "rename: .* is not a mapping"),
        ({"published": "doge_slimpajama", "rename": SLIM7, "partial": 1}, "partial: 1 is not true or false"),
        ({"published": "doge_slimpajama", "weights": {"papers": 1.0}},
         "exactly one of the parameters weights, file, published"),
        ({}, "exactly one of the parameters weights, file, published"),
        ({"weights": dict.fromkeys(SLIM7, 1 / 7), "rename": SLIM7},
         "rename: only goes with the parameters file and published"),
        ({"weights": dict.fromkeys(SLIM7, 1 / 7), "partial": True},
         "partial: only goes with the parameters file and published"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(params, words):
    with pytest.raises(UserError, match=words) as error:
        solve(SLIM7, **params)
    assert "\n" not in str(error.value)


def test_given_weights_work_as_before():
    assert solve(("a", "b"), weights={"a": 0.25, "b": 0.75}) == {"a": 0.25, "b": 0.75}
    with pytest.raises(UserError, match="the weights sum to 0.5, not to 1"):
        solve(("a", "b"), weights={"a": 0.25, "b": 0.25})
