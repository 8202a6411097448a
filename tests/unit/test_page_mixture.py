"""The page of a mixture: its numbers are the mixture's, its words are true, a name is never markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import View, dump, find, look, script

from chameleon import krls
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixture import Domain, Mixture
from chameleon.pages import mixture_page, words
from chameleon.pages.document import data_block
from chameleon.pages.geometry import by_similarity, cosines, flat_map
from chameleon.pages.mixture import MOST

HOSTILE = ("</script><b class=hostile>x</b>", "$HOME ${k} & 'q' \"d\" %{x}", "<!-- <script>", "a" * 300)
HOW = {"mode": "pretrain", "ridge": 10.0, "temperature": None, "ridge_used": 10.0, "temperature_used": 5.0,
       "centre": True, "normalise": True, "seed": 0, "confidence": 0.9}  # fmt: skip


def mixture(names, seed=0, **more):
    """Return a mixture made as `chameleon weigh` makes one."""
    k, rng = len(names), np.random.default_rng(seed)
    omega = krls.affinity(rng.normal(size=(k, 12)))
    scores = krls.leverage_scores(omega, HOW["ridge_used"])
    weights = dict(zip(names, krls.pretrain_weights(scores, 5.0).tolist(), strict=True))
    tokens = rng.lognormal(15, 1, size=k)
    about = {
        name: Domain(
            documents=50 + i, tokens=float(tokens[i]), windows=8, score=float(scores[i]), influence=0.01 * i,
            low=0.9 * weights[name], high=1.1 * weights[name],
            low_documents=0.5 * weights[name], high_documents=min(1.5 * weights[name], 1.0),
        )
        for i, name in enumerate(names)
    }  # fmt: skip
    return Mixture.of(weights, about=about, how=HOW, affinity=omega.tolist(), **more)


def names(k):
    return [f"domain {i}" for i in range(k)]


class Reader(HTMLParser):
    """Reads a page as a browser would: what is text, what is markup, what would be fetched."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.fetched, self.cells, self.scripts = [], [], [], {}, {}
        self._row, self._script = "", None
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given.get("class")))
        self.fetched += [v for name, v in attributes if name in ("src", "href") and not v.startswith("#")]
        self._script = given.get("id", "code") if tag == "script" else None
        if tag == "tr":
            self._row = given.get("data-domain")
        if "data-value" in given:
            self.cells[self._row, given["data-key"]] = float(given["data-value"])

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.text.append(data)
        else:
            self.scripts.setdefault(self._script, []).append(data)

    @property
    def data(self):
        return json.loads("".join(self.scripts["data"]))


def page(tmp_path, made, embeddings=None):
    mixture_page(made, embeddings, tmp_path / "page.html")
    return Reader(tmp_path / "page.html")


def test_the_page_has_the_numbers_of_the_mixture(tmp_path):
    made = mixture(names(5))
    read = page(tmp_path, made)
    data = read.data
    assert data["domains"] == list(made.domains) and data["weights"] == list(made.weights.values())
    assert data["affinity"] == made.affinity
    assert data["setting"] == {"mode": "pretrain", "ridge": 10.0, "temperature": 5.0}
    for over, low, high in (("windows", "low", "high"), ("documents", "low_documents", "high_documents")):
        assert data[over]["low"] == [getattr(made.domain(d), low) for d in made.domains]
        assert data[over]["high"] == [getattr(made.domain(d), high) for d in made.domains]
    tokens = [made.domain(d).tokens for d in made.domains]
    assert data["natural"] == pytest.approx([t / sum(tokens) for t in tokens], rel=1e-15)
    for i, name in enumerate(made.domains):
        about = made.domain(name)
        known = {"weight": made.weights[name], "score": about.score, "influence": about.influence,
                 "tokens": about.tokens, "seen": about.documents, "natural": data["natural"][i]}  # fmt: skip
        assert {key: read.cells[str(i), key] for key in known} == known


def test_the_page_fetches_nothing_and_has_the_same_bytes_again(tmp_path):
    read = page(tmp_path, mixture(names(4)))
    assert read.fetched == []
    first = (tmp_path / "page.html").read_bytes()
    page(tmp_path, mixture(names(4)))
    assert (tmp_path / "page.html").read_bytes() == first and len(first) < 5_500_000


def test_names_and_warnings_are_text(tmp_path):
    read = page(tmp_path, mixture(HOSTILE, warnings=("<i class=hostile>careful</i>",)))
    assert read.data["domains"] == list(HOSTILE)
    assert "hostile" not in {look for _, look in read.tags}
    text = "".join(read.text)
    assert all(name in text for name in HOSTILE) and "<i class=hostile>careful</i>" in text


@pytest.mark.parametrize("name", ["</script>", "<!--<script>", "\u2028", "a&amp;b", "é\\\"'"])
def test_data_in_a_script_element_end_nothing(name):
    block = data_block([name])
    assert json.loads(block) == [name] and not re.search("[<>&\u2028]", block)


def test_a_mixture_that_knows_nothing_has_a_page_that_says_so(tmp_path):
    read = page(tmp_path, Mixture.of({"a": 0.25, "b": 0.75}))
    text = " ".join(read.text)
    assert "carries no affinity" in text and "carries no intervals" in text and "Train most on" in text
    assert "tokens are not known" in text
    assert read.data["affinity"] is None and read.data["windows"] is None and read.data["natural"] is None


def test_embeddings_stand_in_for_an_affinity(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 8))
    bare = replace(mixture(names(3)), affinity=None)
    assert page(tmp_path, bare, x).data["affinity"] == krls.affinity(x).tolist()
    plain = replace(bare, how={**HOW, "centre": False})
    assert page(tmp_path, plain, x).data["affinity"] == krls.affinity(x, centre=False).tolist()


@pytest.mark.parametrize(
    ("k", "said"), [(1, "There is one domain"), (MOST + 1, f"more than {MOST}"), (200, "What if")]
)
def test_one_domain_and_many(tmp_path, k, said):
    read = page(tmp_path, mixture(names(k)))
    assert said in " ".join(read.text)
    assert (read.data["affinity"] is None) == (k != 200)
    assert len([key for key in read.cells if key[1] == "weight"]) == k


def test_an_affinity_that_cannot_be_one_is_left_out(tmp_path):
    for odd in ([[1.0, 0.0]], [[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.5], [0.0, 1.0]]):
        read = page(tmp_path, replace(mixture(names(2)), affinity=odd))
        assert read.data["affinity"] is None and "cannot be used" in " ".join(read.text)


def test_weights_that_are_not_those_of_their_setting_are_told_apart(tmp_path):
    made = mixture(names(4))
    assert "edited since" not in " ".join(page(tmp_path, made).text)
    other = replace(made, schedule=MixtureSchedule.static(dict.fromkeys(made.domains, 0.25)))
    assert "not those of its setting" in " ".join(page(tmp_path, other).text)
    unknown = replace(made, how=None)
    assert "does not say how it was made" in " ".join(page(tmp_path, unknown).text)


def test_weights_that_move_are_shown_where_they_end(tmp_path):
    stages = (Stage(0, {"a": 0.5, "b": 0.5}), Stage(100, {"a": 0.1, "b": 0.9}))
    read = page(tmp_path, Mixture(MixtureSchedule(stages)))
    assert read.data["weights"] == [0.1, 0.9] and "2 stages, from steps 0, 100" in " ".join(read.text)


def ends(low, high):
    return words.Interval(low, high, "documents")


def test_the_headline_says_who_gets_most_and_how_sure_that_is():
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    said = words.headline(weights, ends([0.45, 0.25, 0.1], [0.55, 0.4, 0.25]))
    assert said == (
        "Train most on <strong>a</strong>, 50.0 % (45.0 % to 55.0 %), and least on <strong>c</strong>, "
        "20.0 % (10.0 % to 25.0 %)."
    )
    sure = words.sureness(weights, ends([0.45, 0.25, 0.1], [0.55, 0.4, 0.25]), 0.9)
    assert "<strong>a</strong> is first" in sure and "2 of 3 domains differ" in sure
    assert "90 % intervals over documents" in sure
    open_ = words.sureness(weights, ends([0.35, 0.25, 0.1], [0.65, 0.4, 0.36]), None)
    assert (
        "is first is open" in open_
        and "of b and 1 more overlap" in open_
        and "1 of 3 domains differs" in open_
    )
    assert words.headline({"a": 1.0}, None).startswith("All of the training text")
    assert "same share, <strong>50.0 %" in words.headline({"a": 0.5, "b": 0.5}, None)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.55, "55.0 %"),
        (0.1234, "12.3 %"),
        (0.00456, "0.46 %"),
        (0, "0 %"),
        (1, "100 %"),
        (1e-7, "< 0.001 %"),
    ],
)
def test_shares_have_the_digits_that_matter(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12"), (1234, "1.23 K"), (999_990, "1 M"), (2.5e9, "2.5 B"), (1.5e13, "15 T")]
)
def test_counts_are_short(number, text):
    assert words.count(number) == text


def test_the_map_keeps_distances_and_fixes_signs():
    x = np.random.default_rng(3).normal(size=(6, 2))
    found = flat_map(krls.affinity(np.hstack([x, np.ones((6, 3))])))
    flat = np.stack([found.x, found.y], axis=1)

    def apart(points):
        return np.linalg.norm(points[:, None] - points[None], axis=2)

    np.testing.assert_allclose(apart(flat), apart(x), atol=1e-12)
    assert sum(found.shares) == pytest.approx(1) and found.shares[0] >= found.shares[1]
    assert all(axis[np.argmax(np.abs(axis))] > 0 for axis in flat.T)
    same = flat_map(np.zeros((3, 3)))
    assert same.x == [0, 0, 0] and same.shares == (0, 0)


def test_alike_domains_are_neighbours():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 20))
    of = [0, 1, 2, 0, 1, 2, 0, 1, 2]
    affinity = krls.affinity(centres[of] + 0.05 * rng.normal(size=(9, 20)))
    order = by_similarity(affinity)
    assert sorted(order) == list(range(9))
    groups = [of[i] for i in order]
    assert len([1 for a, b in zip(groups, groups[1:], strict=False) if a != b]) == 2
    assert cosines(np.zeros((3, 3))).tolist() == np.zeros((3, 3)).tolist()
    assert sorted(by_similarity(np.zeros((4, 4)))) == [0, 1, 2, 3]


def wanted(made, mode, ridge, temperature):
    scores = krls.leverage_scores(made.affinity, ridge)
    rule = krls.pretrain_weights if mode == "pretrain" else krls.finetune_weights
    return rule(scores, temperature)


@pytest.mark.slow
def test_the_address_of_the_page_sets_the_sliders(tmp_path):
    find()
    made = mixture(names(6))
    mixture_page(made, None, tmp_path / "page.html")
    text = dump(tmp_path / "page.html", "ridge=3.2&temperature=1.7")
    weights = wanted(made, "pretrain", 3.2, 1.7)
    assert script(text, "state")["weights"] == pytest.approx(weights, abs=1e-9, rel=0)
    rows = dict(re.findall(r'<tr data-domain="(\d+)" data-weight="([^"]+)"', text))
    assert [float(rows[str(i)]) for i in range(6)] == script(text, "state")["weights"]


#: What a reader does on a page, and what is true then.
SLIDE = """
const slider = document.getElementById("ridge");
slider.value = 900;
slider.dispatchEvent(new Event("input", {bubbles: true}));
document.querySelector('input[value="finetune"]').click();
document.getElementById("budget").value = "2.5M";
document.getElementById("budget").dispatchEvent(new Event("input", {bubbles: true}));
document.querySelectorAll("details").forEach((one) => { one.open = true; });
document.querySelector('input[name="order"][value="file"]').click();
document.querySelector('th[data-key="weight"] button').click();
return {tables: document.querySelectorAll("details").length};
"""
READ = """
const cells = [...document.querySelectorAll('[data-key="epochs"][data-value]')];
return {epochs: cells.map((e) => Number(e.dataset.value))};
"""


@pytest.mark.slow
def test_pages_in_a_browser(tmp_path):
    """One start for all: settings by address and by hand, hostile names, narrow screens, many domains."""
    find()
    made, wide = mixture(names(6)), mixture(names(200), seed=1)
    hostile = mixture(HOSTILE, warnings=("<b class=hostile>careful</b>",))
    for name, one in (("made", made), ("wide", wide), ("hostile", hostile),
                      ("bare", Mixture.of({"a": 0.25, "b": 0.75}))):  # fmt: skip
        mixture_page(one, None, tmp_path / f"{name}.html")
    told = look(
        [
            View(tmp_path / "made.html", "ridge=0.5&temperature=0.3&mode=finetune", 400),
            View(tmp_path / "made.html", "ridge=-1&temperature=nan&mode=no", act=READ),
            View(tmp_path / "made.html", act=SLIDE),
            View(tmp_path / "wide.html", "ridge=2&temperature=40", 400),
            View(tmp_path / "hostile.html", "", 400),
            View(tmp_path / "bare.html", "", 400),
        ],
        tmp_path,
    )
    for one in told:
        assert one["wrong"] == [] and one["scroll"] <= one["inner"], one
        assert one["unlabelled"] == one["unreachable"] == one["twice"] == one["unnamed"] == []
    narrow, refused, moved, many, odd, bare = told
    own = list(made.weights.values())
    assert narrow["weights"] == pytest.approx(wanted(made, "finetune", 0.5, 0.3), abs=1e-9, rel=0)
    assert refused["weights"] == pytest.approx(own, abs=1e-9, rel=0) and refused["drawn"] >= 5
    tokens = [made.domain(d).tokens for d in made.domains]
    budget = float(f"{sum(tokens):.3g}")
    epochs = [w * budget / t for w, t in zip(own, tokens, strict=True)]
    assert refused["acted"]["epochs"] == pytest.approx(epochs, rel=1e-9)
    state = moved["state"]
    assert state["mode"] == "finetune" and state["ridge"] > 10 and f"ridge={state['ridge']}" in moved["hash"]
    assert moved["opened"] == moved["acted"]["tables"] == 3
    # The table is sorted by weight: as many rows, the same numbers.
    assert moved["weights"] != state["weights"] and sorted(moved["weights"]) == sorted(state["weights"])
    assert state["weights"] == pytest.approx(wanted(made, "finetune", state["ridge"], 0.2), abs=1e-9, rel=0)
    assert many["weights"] == pytest.approx(wanted(wide, "pretrain", 2, 40), abs=1e-9, rel=0)
    assert odd["bold"] == 0 and odd["state"]["domains"] == list(HOSTILE)
    assert "<b class=hostile>careful</b>" in odd["text"]
    assert bare["state"] == {} and bare["weights"] == [0.25, 0.75]
