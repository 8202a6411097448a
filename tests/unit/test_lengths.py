"""Splits shorter than what is asked of them are found when they become tokens, not in the first base run."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chameleon.core.errors import UserError
from chameleon.data.lengths import check_lengths
from chameleon.data.tokenizer import train_tokenizer
from chameleon.evaluation.perplexity import blocks
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.stages import text


def test_what_is_asked_is_what_a_pass_reads(raw: dict[str, Any]) -> None:
    """320 test tokens in blocks of 16, and one token more; 64 validation tokens for a swarm's losses."""
    assert specs.asked(load(raw), "left") == {
        "test": (321, "evaluation.test_tokens"),
        "train": (17, "scales.tiny.model.context"),
    }
    raw["evaluation"] |= {"test_tokens": 330, "validation_tokens": 70, "controller_tokens": 40}
    raw["scenarios"]["toy"] |= {"methods": ["uniform", "regmix"], "evaluation": {"validation_tokens": 100}}
    asked = specs.asked(load(raw), "left")
    assert asked["test"] == (321, "evaluation.test_tokens"), "whole blocks only"
    assert asked["validation"] == (97, "scenarios.toy.evaluation.validation_tokens")
    raw["scenarios"]["toy"]["methods"] = ["uniform", "aioli"]
    assert specs.asked(load(raw), "left")["validation"] == (33, "evaluation.controller_tokens")
    raw["scenarios"]["toy"]["methods"] = ["uniform", "demix"]
    raw["method_params"] = {"demix": {"general": 0.5}}
    assert specs.weights(load(raw), "toy", "demix", 0)["validation_tokens"] == 40
    assert specs.asked(load(raw), "left")["validation"] == (97, "scenarios.toy.evaluation.validation_tokens")
    raw["evaluation"] |= {"curve_tokens": 640}
    assert specs.asked(load(raw), "left")["test"][0] == 321, "no curve is measured"
    raw["evaluation"] |= {"curve_points": [0.5]}
    assert specs.asked(load(raw), "left")["test"] == (641, "evaluation.curve_tokens")


class Stream:
    """As many tokens as are said, all of one document."""

    offsets = np.zeros(1, dtype=np.int64)

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int) -> Any:
        return np.arange(start, stop)


def test_just_enough_is_enough_for_the_pass_itself(raw: dict[str, Any]) -> None:
    tokens, _ = specs.asked(load(raw), "left")["test"]
    assert blocks(Stream(tokens), 320, 16, "x").ids.shape == (20, 17)  # type: ignore[arg-type]
    with pytest.raises(UserError):
        blocks(Stream(tokens - 1), 320, 16, "x")  # type: ignore[arg-type]


def test_domains_that_a_finetuned_model_is_tested_on_are_asked_too(raw: dict[str, Any]) -> None:
    raw["scenarios"]["toy"]["corpora"] = ["left"]
    raw["scenarios"]["toy"]["evaluation"] = {"test_tokens": 160}
    raw["scenarios"]["tuned"] = {
        "kind": "finetune",
        "corpora": ["right"],
        "proxy": {"of": "toy"},
        "base": {"scale": "tiny", "of": "toy", "method": "natural"},
        "methods": ["uniform"],
        "evaluation": {"test_tokens": 160},
    }
    raw["run"] = ["tuned"]
    cfg = load(raw)
    assert specs.asked(cfg, "left")["test"] == (161, "scenarios.tuned.evaluation.test_tokens")
    assert "train" in specs.asked(cfg, "left") and "train" in specs.asked(cfg, "right")


def test_the_shortest_split_is_named_with_what_to_change() -> None:
    domains = {
        name: {split: {"tokens": tokens} for split in ("train", "validation", "test")}
        for name, tokens in (("large", 1000), ("small", 300), ("tiny", 90))
    }
    asked = {"test": [513, "evaluation.test_tokens"], "validation": (257, "evaluation.validation_tokens")}
    with pytest.raises(UserError) as caught:
        check_lengths("corpus mine", domains, asked)
    assert str(caught.value) == (
        "corpus mine: domain 'tiny': its test split holds 90 tokens, but evaluation.test_tokens needs 513 "
        "(and 2 more); lower it, or raise data.split.test, give the domain more text, or leave it out"
    )
    check_lengths("corpus mine", domains, {"test": [90, "evaluation.test_tokens"]})


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A prepared corpus and its tokenizer."""
    splits = ["train"] * 30 + ["validation"] * 4 + ["test"] * 5
    frame = pd.DataFrame({"doc_id": map(str, range(39)), "split": splits, "text": "some words to read " * 3})
    (tmp_path / "corpora" / "left").mkdir(parents=True)
    for domain in ("twin_one", "unique"):
        frame.to_parquet(tmp_path / "corpora" / "left" / f"{domain}.parquet")
    spec = {"kind": "bpe", "vocab_size": 280, "bytes_per_domain": 1000, "seed": 0}
    files = [("left", "twin_one", tmp_path / "corpora" / "left" / "twin_one.parquet")]
    train_tokenizer(spec, files, tmp_path / "tokenizer")
    return tmp_path


def test_the_tokens_job_refuses_and_leaves_no_manifest(raw: dict[str, Any], prepared: Path) -> None:
    cfg, out = load(raw), prepared / "tokens" / "left"
    given = (specs.tokens(cfg, "left"), prepared / "corpora" / "left", prepared / "tokenizer", out, 1)
    with pytest.raises(UserError, match=r"corpus left: domain 'twin_one': its test split holds \d+ tokens"):
        text.tokens(*given, asked={"test": [10**6, "evaluation.test_tokens"]})
    assert not (out / "manifest.json").exists() and not (out / "run.json").exists()
    text.tokens(*given, asked=json.loads(json.dumps(specs.asked(cfg, "right") | {"test": (60, "x")})))
    assert (out / "manifest.json").exists()


def test_a_config_that_asks_for_more_later_is_refused_while_it_is_read(
    raw: dict[str, Any], prepared: Path
) -> None:
    raw["results_dir"] = str(prepared)
    raw["scenarios"]["toy"]["corpora"] = ["left"]
    cfg, out = load(raw), prepared / "tokens" / "left"
    text.tokens(specs.tokens(cfg, "left"), prepared / "corpora" / "left", prepared / "tokenizer", out, 1)
    specs.check_finished(cfg)  # nothing says what the text was made from
    for folder, spec in (("corpora/left", specs.prepare(cfg, "left")), ("tokenizer", specs.tokenizer(cfg))):
        (prepared / folder / "run.json").write_text(json.dumps({"spec": spec}))
    more = copy.deepcopy(raw)
    more["evaluation"]["test_tokens"] = 16_000
    with pytest.raises(
        UserError, match=r"tokens/left/manifest\.json: .*its test split holds \d+ tokens, but"
    ):
        specs.check_finished(load(more))
    fewer = copy.deepcopy(raw)
    fewer["evaluation"]["test_tokens"] = 16
    specs.check_finished(load(fewer))
    # Text that will be prepared again may be longer.
    more["data"]["max_characters"] = 3000
    specs.check_finished(load(more))
