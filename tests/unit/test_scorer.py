"""Log-likelihoods against one request at a time; rolling windows against our perplexity."""

import json
import math

import numpy as np
import pytest
import torch
from fewshot_results import CONTEXT, TEXT, VOCAB, open_scorer, plain, requests, write_results

from chameleon.evaluation.perplexity import block_losses
from chameleon.evaluation.scorer import AnswerTooLong, batches, pack


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def scorer(results):
    return open_scorer(results)


LONG = " ".join(TEXT.split()[:60])
PAIRS = [
    ("Question: Who?\nAnswer:", " the captain"),
    ("Question: Who?\nAnswer:", " whale"),
    ("Question: Who?\nAnswer:", " a"),
    ("Question: Who?\nAnswer:", " b"),
    (LONG, " the whale and the sea"),
    (LONG, " a"),
    (LONG, " b"),
    (LONG[:30], " I"),
]


def test_log_likelihoods_are_those_of_each_request_alone(scorer):
    asked = requests(scorer, *PAIRS)
    assert any(len(p) + len(a) > CONTEXT + 1 for _, p, a in asked) and any(len(a) == 1 for _, _, a in asked)
    for (value, _), (_, prompt, answer) in zip(scorer._loglikelihood_tokens(asked), asked, strict=True):
        assert value == pytest.approx(plain(scorer.model, prompt, answer), abs=2e-5)


def test_greedy_answers_are_recognised(scorer):
    ids = scorer.memo.encode("Call me")
    with torch.no_grad():
        best = int((scorer.model.hidden(torch.tensor([ids]))[0, -1] @ scorer.model.wte.weight.T).argmax())
    found = scorer._loglikelihood_tokens([(None, ids, [best]), (None, ids, [(best + 1) % VOCAB])])
    assert [greedy for _, greedy in found] == [True, False]


def test_answers_share_their_prompt_and_long_prompts_lose_their_left_end():
    prompt = list(range(100, 150))
    packs = pack(
        [(None, [1, 2], [3]), (None, [1, 2], [4, 5, 6]), (None, prompt, [7]), (None, prompt, [8, 9])], 48
    )
    assert [(len(p.prefix), [i for i, _ in p.answers], len(p)) for p in packs] == [
        (48, [2], 48), (47, [3], 48), (2, [0, 1], 4),
    ]  # fmt: skip
    assert packs[0].prefix == prompt[-48:] and packs[1].prefix == prompt[-47:]
    assert [len(b) for b in batches(packs)] == [3]


@pytest.mark.parametrize("answer", [[], [1] * 49])
def test_an_answer_without_room_is_refused(answer):
    with pytest.raises(AnswerTooLong):
        pack([(None, [1], answer)], 48)


ROLLING = """\
task: toy_text
dataset_path: json
dataset_kwargs:
  data_files:
    test: "{file}"
test_split: test
output_type: loglikelihood_rolling
num_fewshot: 0
doc_to_text: ""
doc_to_target: text
metric_list:
  - metric: bits_per_byte
"""


@pytest.mark.slow
def test_perplexity_is_that_of_lm_evals_rolling_log_likelihood(results, scorer, tmp_path):
    """lm-eval's Hugging Face model on the checkpoint and the text, against our loss on the same windows."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    ids = scorer.memo.encode(TEXT[:6000])
    whole = len(ids) // CONTEXT * CONTEXT
    text = scorer.memo.tokenizer.decode(ids[:whole])
    (tmp_path / "text.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    (tmp_path / "toy_text.yaml").write_text(ROLLING.format(file=tmp_path / "text.jsonl"), encoding="utf-8")
    folder = str(results / "runs" / "toy" / "uniform" / "seed0" / "model")
    found = simple_evaluate(
        HFLM(pretrained=folder, device="cpu", batch_size=4),
        tasks=["toy_text"],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )
    bits = found["results"]["toy_text"]["bits_per_byte,none"] * len(text.encode())
    stream = np.array([scorer.eot_token_id, *ids[:whole]])
    data = np.stack([stream[i : i + CONTEXT + 1] for i in range(0, whole, CONTEXT)])
    assert bits * math.log(2) / whole == pytest.approx(block_losses(scorer.model, data).mean(), rel=1e-5)
