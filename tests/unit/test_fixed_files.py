"""Method `fixed` with a file: names that are only spelt otherwise, `rename` both ways, hostile files."""

import json

import pytest

from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.names import match, spelling
from chameleon.mixing.types import MethodInputs

OURS = ("pile_cc", "wikipedia_en", "dm_mathematics")
THEIRS = {"Pile-CC": 0.5, "Wikipedia (en)": 0.3, "DM Mathematics": 0.2}
RENAME = dict(zip(OURS, THEIRS, strict=True))
FACTS = {"tokenizer_fingerprint": "0" * 64}
EXPECTED = {"pile_cc": 0.5, "wikipedia_en": 0.3, "dm_mathematics": 0.2}


@pytest.fixture
def solve(tmp_path):
    """Return a function that writes a file and asks the method for its weights."""

    def work(content, domains=OURS, **params):
        path = tmp_path / "mine.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        params = registry.parameters("fixed", {"file": str(path), **params}, "here")
        method = registry.get("fixed")
        method.check(params, tuple(domains), FACTS)
        assert method.files(params) == [str(path)]
        result = method.weights(MethodInputs(tuple(domains), dict.fromkeys(domains, 1), params, 0, 10))
        return result.schedule.stages[0].weights

    return work


@pytest.mark.parametrize(
    ("name", "plain"),
    [("Pile-CC", "pile_cc"), ("Wikipedia (en)", "wikipedia_en"), ("Gutenberg (PG-19)", "gutenberg_pg_19"),
     ("  DM   Mathematics ", "dm_mathematics"), ("the_pile/ArXiv", "the_pile_arxiv"), ("\uff37eb", "web"),
     ("C4", "c4"), ("---", "")],
)  # fmt: skip
def test_how_names_are_compared(name, plain):
    assert spelling(name) == plain


@pytest.mark.parametrize(
    "rename",
    [None, RENAME, {v: k for k, v in RENAME.items()}, {"pile_cc": "Pile-CC"}, {"Pile-CC": "pile_cc"}],
)
def test_a_proposal_under_hub_names(solve, rename):
    assert solve(THEIRS, rename=rename) == pytest.approx(EXPECTED, rel=1e-12)
    stage = {"start_step": 0, "weights": THEIRS}
    assert solve({"stages": [stage]}, rename=rename) == pytest.approx(EXPECTED, rel=1e-12)
    assert solve(b"\xef\xbb\xbf" + json.dumps(THEIRS).encode()) == pytest.approx(EXPECTED, rel=1e-12)


def test_other_names_than_ours_need_rename(solve):
    theirs = {"Common Crawl": 0.5, "wikipedia_en": 0.3, "DM Mathematics": 0.2}
    left = "'pile_cc' is not one of Common Crawl, DM Mathematics"
    with pytest.raises(UserError, match=f"{left}; name it in method fixed: rename: "):
        solve(theirs)
    assert solve(theirs, rename={"pile_cc": "Common Crawl"}) == pytest.approx(EXPECTED)
    assert solve(theirs, rename={"Common Crawl": "pile_cc"}) == pytest.approx(EXPECTED)


def test_an_exact_name_wins_and_likeness_must_be_unambiguous(solve):
    two = ("web", "code")
    assert solve({"web": 0.75, "code": 0.25}, two) == {"web": 0.75, "code": 0.25}
    swapped = {"web": "code", "code": "web"}
    assert solve({"web": 0.75, "code": 0.25}, two, rename=swapped) == {"web": 0.25, "code": 0.75}
    with pytest.raises(
        UserError, match="domain web: Web, WEB are spelt alike; name it in method fixed: rename"
    ):
        solve({"Web": 0.5, "WEB": 0.25, "code": 0.25}, two)
    with pytest.raises(UserError, match="here: domain a_b: a_b, a__b are spelt alike; name it in rename"):
        match(["a_b", "a__b"], ["A-B", "c"], None, "here", "rename")
    assert match(["a_b", "c"], ["A-B", "c"], {"c": "c"}, "here", "rename") == {"a_b": "A-B", "c": "c"}


def test_more_domains_than_ours(solve):
    with pytest.raises(UserError, match=r"no domain takes the weight of DM Mathematics \(0.200 in all\)"):
        solve(THEIRS, OURS[:2])
    assert solve(THEIRS, OURS[:2], partial=True) == pytest.approx({"pile_cc": 0.625, "wikipedia_en": 0.375})
    with pytest.raises(UserError, match="the weights of a sum to 0"):
        solve({"a": 0, "b": 1}, ("a",), partial=True)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"rename": ["pile_cc"]}, "rename: .* is not a mapping of domains to names"),
        ({"rename": {"pile_cc": 3}}, "rename: .* is not a mapping of domains to names"),
        ({"rename": {"pile": "Pile-CC"}}, "rename: domain 'pile' is not one of pile_cc, wikipedia_en"),
        ({"rename": {"pile_cc": "Pile"}}, "rename pile_cc: 'Pile' is not one of Pile-CC, Wikipedia"),
        (
            {"rename": {"pile_cc": "Pile-CC", "wikipedia_en": "Pile-CC"}},
            "Pile-CC goes to both pile_cc and wiki",
        ),
        (
            {"rename": {"Pile-CC": "pile_cc", "DM Mathematics": "pile_cc"}},
            "pile_cc takes the weight of several",
        ),
        ({"partial": "yes"}, "partial: 'yes' is not true or false"),
    ],
)
def test_mistakes_in_the_parameters(solve, params, words):
    with pytest.raises(UserError, match=words) as caught:
        solve(THEIRS, **params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", [3, ["x"], "", {"a": 1}])
def test_what_is_no_path(file):
    params = registry.parameters("fixed", {"file": file}, "here")
    with pytest.raises(UserError, match="method fixed: file: .* is not the path of a file"):
        registry.get("fixed").check(params, OURS, FACTS)


STAGE = {"start_step": 0, "weights": EXPECTED}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**EXPECTED, "pile_cc": 0.4}, "the weights sum to 0.9, not to 1"),
        ({**EXPECTED, "pile_cc": -0.5}, "pile_cc: -0.5 is not a weight between 0 and 1"),
        ({**EXPECTED, "pile_cc": "0.5"}, "pile_cc: '0.5' is not a weight"),
        ({**EXPECTED, "pile_cc": True}, "pile_cc: True is not a weight"),
        ({**EXPECTED, "pile_cc": None}, "pile_cc: None is not a weight"),
        ({**EXPECTED, "pile_cc": {"x": 0.5}}, "pile_cc: {'x': 0.5} is not a weight"),
        ({"weights": EXPECTED}, "weights: {'pile_cc': 0.5, .*} is not a weight"),
        (dict(list(EXPECTED.items())[:2]) | {"other": 0.2}, "domain dm_mathematics: .* is not one of other"),
        ({}, "holds no weights"),
        ([0.5, 0.3, 0.2], "expected a JSON object of domains and weights"),
        ({"stages": [STAGE, STAGE]}, "holds 2 stages; method fixed takes static weights"),
        ({"stages": []}, "holds 0 stages"),
        ({"stages": [3]}, "stages.0: 3 has no mapping `weights`"),
        ({"stages": [{"start_step": 0}]}, "stages.0: {'start_step': 0} has no mapping `weights`"),
        ({"stages": [STAGE], "tokenizer_fingerprint": 3}, "tokenizer_fingerprint: 3 is no text"),
        ({"stages": [STAGE], "tokenizer_fingerprint": "1" * 64}, "the weights belong to another tokenizer"),
        (b'{"pile_cc": 0.5, "pile_cc": 0.5}', "not valid JSON: the key 'pile_cc' is given twice"),
        (b'{"pile_cc": NaN}', "not valid JSON: NaN is no number"),
        (json.dumps(EXPECTED).encode()[:-5], "not valid JSON: "),
        (b"", "not valid JSON: "),
        (b"\x89PNG\r\n\x1a\n\x00", "not valid JSON: not UTF-8"),
        (b"[" * 100_000, "not valid JSON: nested too deeply"),
        (b'{"a\\nb": 0.5, "c": 0.5}', "domain pile_cc: 'pile_cc' is not one of a b, c"),
    ],
)
def test_hostile_files_are_refused_in_one_line(solve, content, words):
    with pytest.raises(UserError, match=words) as caught:
        solve(content)
    assert "mine.json: " in str(caught.value) and "\n" not in str(caught.value)


def test_published_names_are_matched_too():
    params = registry.parameters("fixed", {"published": "doremi_pile_280m", "partial": True}, "here")
    method, domains = registry.get("fixed"), ("pile_cc", "pubmed_central")
    method.check(params, domains, FACTS)
    found = method.weights(MethodInputs(domains, dict.fromkeys(domains, 1), params, 0, 10))
    total = 0.6057 + 0.0046
    expected = {"pile_cc": 0.6057 / total, "pubmed_central": 0.0046 / total}
    assert found.schedule.stages[0].weights == pytest.approx(expected)
