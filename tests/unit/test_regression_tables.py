"""A swarm's CSV files: RegMix's names, Olmix's names, joins, targets, and mistakes in one line."""

import re

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.regression.columns import domain_names
from chameleon.methods.regression.sheets import read_table
from chameleon.methods.regression.tables import read_swarm

REGMIX = (
    "index,train_the_pile_arxiv,train_the_pile_pile_cc,train_the_pile_github\n"
    "1,0.2,0.3,0.5\n2,0.1,0.9,0.0\n3,0.333,0.333,0.333\n",
    "index,metric/the_pile_arxiv_val_loss,metric/the_pile_pile_cc_val_loss\n3,4.3,5.3\n1,4.1,5.1\n2,4.2,5.2\n",
)
OLMIX = (
    "run,name,index,web,code\na1,swarm-0000,0,0.25,0.75\na2,swarm-0001,1,1.0,0.0\na3,swarm-0002,2,0.5,0.5\n",
    "run,name,index,arc_bpb,code_val_loss\na2,swarm-0001,0,1.2,3.2\na3,swarm-0002,1,,3.3\na1,swarm-0000,2,1.1,3.1\n",
)


@pytest.fixture
def files(tmp_path):
    def write(pair):
        paths = tmp_path / "m.csv", tmp_path / "l.csv"
        for path, text in zip(paths, pair, strict=True):
            path.write_text(text)
        return paths

    return write


@pytest.mark.parametrize("target", ["pile_cc", "metric/the_pile_pile_cc_val_loss"])
def test_regmix_files(files, target):
    found = read_swarm(*files(REGMIX), target)
    assert found.domains == ("arxiv", "pile_cc", "github") and found.left_out == 0
    assert found.target == "metric/the_pile_pile_cc_val_loss"
    assert found.losses.tolist() == [5.1, 5.2, 5.3], "joined on index, not on the row"
    assert found.mixtures.tolist() == [[0.2, 0.3, 0.5], [0.1, 0.9, 0.0], [0.333] * 3], "as published"


def test_olmix_files(files):
    """The run names itself; row numbers need not agree. Gaps in a metric are left out."""
    found = read_swarm(*files(OLMIX), "arc_bpb")
    assert found.domains == ("web", "code") and found.mixtures.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert found.losses.tolist() == [1.1, 1.2] and found.left_out == 1
    assert read_swarm(*files(OLMIX), "code").losses.tolist() == [3.1, 3.2, 3.3]


def test_run_id_is_olmixs_other_name_for_run(files):
    mixtures, losses = OLMIX
    found = read_swarm(*files((mixtures.replace("run,name,index", "run_id,name,index"), losses)), "code")
    assert found.losses.tolist() == [3.1, 3.2, 3.3]


def test_runs_of_one_file_only_are_left_out(files):
    mixtures, losses = REGMIX
    found = read_swarm(*files((mixtures + "4,1,0,0\n", losses.replace("3,4.3,5.3\n", "9,4,5\n"))), "arxiv")
    assert found.losses.tolist() == [4.1, 4.2] and found.left_out == 3


def test_row_numbers_that_went_through_floats(files):
    mixtures, losses = REGMIX
    assert read_swarm(*files((mixtures, re.sub(r"(?m)^(\d),", r"\1.0,", losses))), "arxiv").losses[0] == 4.1


def test_columns_without_numbers_and_pandas_row_numbers_are_no_domains(files):
    mixtures = ",Unnamed: 0,index,note,web,code\n0,0,1,good,0.5,0.5\n1,1,2,bad,1,0\n"
    assert read_swarm(*files((mixtures, "index,x\n1,2\n2,3\n")), "x").domains == ("web", "code")


def test_a_test_set_comes_in_the_swarms_order(files):
    domains = ("github", "arxiv", "pile_cc")
    found = read_swarm(*files(REGMIX), "arxiv", domains)
    assert found.domains == domains and found.mixtures[0].tolist() == [0.5, 0.2, 0.3]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["train_the_pile_arxiv", "train_the_pile_pile_cc"], ["arxiv", "pile_cc"]),
        (["train_web", "train_code"], ["web", "code"]),
        (["train_logs", "web"], ["train_logs", "web"]),
        (["train_", "train_web"], ["train_", "train_web"]),
        (["web"], ["web"]),
    ],
)
def test_what_all_columns_share_is_not_part_of_a_domain(columns, names):
    assert domain_names(columns) == names


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (("", ""), "books", "--target: 'books' is no column of .*l.csv; valid: arxiv, pile_cc$"),
        (
            ("3,0.333,0.333,0.333", "3,0.9,0.3,0.3"),
            "arxiv",
            r"m.csv: run 3: the weights are no mixture: they sum to 1.5$",
        ),
        (("2,0.1,0.9,0.0", "2,-0.1,1.1,0.0"), "arxiv", "m.csv: run 2: the weights are no mixture"),
        (("2,0.1,0.9,0.0", "2,,1.0,0.0"), "arxiv", "m.csv: run 2: the weights are no mixture"),
        (("2,0.1,0.9,0.0", "2,0.1,0.9"), "arxiv", "m.csv: row 3 has 3 fields, the header has 4"),
        (("2,0.1,0.9,0.0", "1,0.1,0.9,0.0"), "arxiv", "m.csv: index '1' names two rows"),
        (("index,train", "number,train"), "arxiv", "m.csv: no column names the runs; one of run, index"),
        (("index,train", "run,train"), "arxiv", "runs are named by run in .*m.csv, by index in .*l.csv$"),
        (("\n1,", "\n11,"), "arxiv", None),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(files, change, target, message):
    paths = files((REGMIX[0].replace(*change), REGMIX[1]))
    if message is None:
        assert read_swarm(*paths, target).left_out == 2
        return
    with pytest.raises(UserError, match=message) as caught:
        read_swarm(*paths, target)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_target_names_its_columns(files):
    losses = "index,metric/arxiv_val_loss,train_arxiv,x\n1,2,3,4\n"
    with pytest.raises(
        UserError, match="'arxiv' is ambiguous .*; give one of metric/arxiv_val_loss, train_arxiv"
    ):
        read_swarm(*files((REGMIX[0], losses)), "arxiv")
    assert read_swarm(*files((REGMIX[0], losses)), "train_arxiv").losses.tolist() == [3]


def test_other_domains_than_the_swarms(files):
    with pytest.raises(
        UserError, match="m.csv: domain 'books' is missing; the swarm has arxiv, books, github"
    ):
        read_swarm(*files(REGMIX), "arxiv", ("arxiv", "books", "github", "pile_cc"))
    with pytest.raises(UserError, match="domain 'github' is unknown"):
        read_swarm(*files(REGMIX), "arxiv", ("arxiv", "pile_cc"))


def test_nothing_in_common_and_nothing_to_read(files, tmp_path):
    with pytest.raises(UserError, match="no run is in both files"):
        read_swarm(*files((REGMIX[0], "index,x\n7,1\n8,2\n")), "x")
    with pytest.raises(UserError, match="no run of .* has a number in column 'x'"):
        read_swarm(*files((REGMIX[0], "index,x\n1,\n7,2\n")), "x")
    with pytest.raises(UserError, match="none.csv: no such file"):
        read_table(tmp_path / "none.csv")
    for text, message in [
        ("index,x\n", "no rows below a header"),
        ("index,x\n1,a\n", "no column holds numbers"),
        ("index,x,x\n1,2,3\n", "column 'x' stands there twice"),
    ]:
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("index,x,y\n1,,2\n")
    assert np.isnan(read_swarm(*files(REGMIX), "arxiv").losses).sum() == 0
    assert list(read_table(tmp_path / "t.csv").columns) == ["y"], "a column without any number is none"


def four(extra=(), weights=((0.2, 0.3, 0.5), (0.1, 0.9, 0.0), (0.3, 0.3, 0.4), (0.6, 0.2, 0.2))):
    """Return a pair of files of four runs; `extra` are further columns: (name, values)."""
    mixtures = [["index", "arxiv", "web", "code", *(name for name, _ in extra)]]
    for i, row in enumerate(weights):
        mixtures.append([i + 1, *row, *(values[i] for _, values in extra)])
    losses = "index,web_val_loss\n1,3.1\n2,3.2\n3,3.3\n4,3.4\n"
    return "\n".join(",".join(map(str, row)) for row in mixtures), losses


@pytest.mark.parametrize(
    "extra",
    [
        [("seed", [0, 0, 0, 0]), ("lr", [0.0004] * 4)],
        [("seed", [0, 1, 2, 3]), ("tokens", [1e9] * 4)],
        [("Learning Rate", [0.01, 0.02, 0.01, 0.02])],
        [("web_val_loss", [3.1, 3.2, 3.3, 3.4]), ("eval/arc", [0.3, 0.4, 0.5, 0.2])],
        [("n_ctx", [2048] * 4), ("delta", [-1, 0.5, 2, 0])],
        [("held_out_score", [0.3, 0.4, 0.35, 0.2])],
        [("total", [1.0] * 4)],
        [("note", ["good", "bad", "good", "x"]), ("gap", [""] * 4)],
    ],
)
def test_what_is_no_weight_is_left_out_by_name(files, extra):
    found = read_swarm(*files(four(extra)), "web")
    assert found.domains == ("arxiv", "web", "code") and found.mixtures[0].tolist() == [0.2, 0.3, 0.5]
    said = " ".join(found.notes)
    assert not [name for name, _ in extra if repr(name) not in said] and found.left_out == 0


def test_prefixes_are_taken_off_what_is_left(files):
    pair = REGMIX[0].replace("\n1,", "\n1,7,").replace("\n2,", "\n2,8,").replace("\n3,", "\n3,9,"), REGMIX[1]
    found = read_swarm(*files((pair[0].replace("index,", "index,seed,"), pair[1])), "arxiv")
    assert found.domains == ("arxiv", "pile_cc", "github") and "'seed'" in found.notes[0]


def test_domains_that_are_called_like_settings(files):
    """Without them the rows are no mixtures."""
    pair = four()[0].replace("web", "tokens").replace("code", "seed"), four()[1]
    found = read_swarm(*files(pair), "web")
    assert found.domains == ("arxiv", "tokens", "seed") and found.notes == ()


def test_per_cent_with_and_without_its_sign(files):
    shares = read_swarm(*files(four()), "web").mixtures
    percent = [[round(100 * w) for w in row] for row in shares.tolist()]
    found = read_swarm(*files(four(weights=percent)), "web")
    assert found.mixtures == pytest.approx(shares)
    assert found.notes == ("read as per cent: the weights of m.csv: its rows sum to 100",)
    signed = [[f"{w}.00%" for w in row] for row in percent]
    found = read_swarm(*files(four(weights=signed)), "web")
    assert found.mixtures == pytest.approx(shares) and found.notes == ()


def test_runs_without_a_number_are_named(files):
    pair = four()[0], "index,web_val_loss\n1,3.1\n2,-\n3,inf\n9,3.4\n"
    found = read_swarm(*files(pair), "web")
    assert found.losses.tolist() == [3.1] and found.runs == ("1",) and found.left_out == 4
    assert found.notes == (
        "left out: run 4: only in m.csv",
        "left out: run 9: only in l.csv",
        "left out: run 2: no number in column 'web_val_loss', it is missing",
        "left out: run 3: a loss of inf: it seems to have diverged",
    )


def test_numbers_from_another_number_on_are_a_hint(files):
    mixtures, losses = four()
    shifted = losses.replace("\n4,", "\n3,").replace("\n3,3.3", "\n2,3.3").replace("\n2,3.2", "\n1,3.2")
    shifted = shifted.replace("\n1,3.1", "\n0,3.1")
    found = read_swarm(*files((mixtures, shifted)), "web")
    assert found.hint == "m.csv numbers its runs from 1, l.csv from 0: are they the same runs?"
    assert read_swarm(*files((mixtures, losses)), "web").hint == ""


@pytest.mark.parametrize(
    ("change", "losses", "message"),
    [
        (("1,0.2", "1,0.2x"), ("", ""), "m.csv: line 2: column 'arxiv': '0.2x' is no number$"),
        (("1,0.2,0.3", '1,"0,2",0.3'), ("", ""), "line 2: column 'arxiv': '0,2' is no number; write"),
        (("2,0.1,0.9", "2,,0.9"), ("", ""), "run 2: the weights are no mixture: column 'arxiv' is empty"),
        (("2,0.1,0.9", "2,-0.1,1.1"), ("", ""), "the weights are no mixture: column 'arxiv' holds -0.1"),
        (("2,0.1,0.9", "2,inf,0.9"), ("", ""), "the weights are no mixture: column 'arxiv' holds inf"),
        (("2,0.1,0.9", "2,90,0.9"), ("", ""), "they sum to 90.9; column 'arxiv' holds 90$"),
        (("\n2,", "\n,"), ("", ""), "m.csv: line 3: names no run: column 'index' is empty"),
        (("", ""), ("2,3.2", "2,high"), "l.csv: line 3: column 'web_val_loss': 'high' is no number$"),
        (("", ""), (",3.", ",1e20"), "no run of .* has a number in column"),
    ],
)  # fmt: skip
def test_more_mistakes_in_one_line(files, change, losses, message):
    pair = four()
    with pytest.raises(UserError, match=message) as caught:
        read_swarm(*files((pair[0].replace(*change), pair[1].replace(*losses))), "web")
    assert "\n" not in str(caught.value)


def test_one_domain_is_no_mixture(files):
    with pytest.raises(UserError, match="'web' is the only domain: there is nothing to mix"):
        read_swarm(*files(("run,web\n1,1\n2,1\n", "run,x\n1,1\n2,2\n")), "x")
