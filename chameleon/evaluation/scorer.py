"""Our decoder as a language model of lm-evaluation-harness: log-likelihoods of answers after a prompt.

Used by `fewshot`. The numbers are those of `lm_eval --model hf` on the saved checkpoint (a test compares
them), at less than half the time: the answers to one prompt share one pass over the prompt, and logits are
computed for the tokens of answers only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lm_eval.api.model import TemplateLM
from torch import Tensor
from torch.nn import functional as F

from chameleon.core.provenance import Cost
from chameleon.training.model import Decoder, flops_per_token

#: Tokens of a forward pass, padding included. Fixed, because a batch's shape decides the last bits of a sum.
BATCH_TOKENS = 4096
#: Token ids that a `Memo` holds at most (about 8 bytes each): texts beyond are encoded again.
MEMO_TOKENS = 50_000_000

# (strings for a cache we do not use, ids of the prompt, ids of the answer), as `TemplateLM` hands them over.
Request = tuple[Any, list[int], list[int]]


class AnswerTooLong(ValueError):
    """An answer does not fit the model's context: nothing could be said about it."""


class Memo:
    """Encodes text once for all models of a scenario: they share a tokenizer and read the same prompts."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._held = 0

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text; no special token is added."""
        ids = self._known.get(text)
        if ids is None:
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            if self._held < MEMO_TOKENS:
                self._known[text] = ids
                self._held += len(ids)
        return ids


@dataclass
class Pack:
    """Answers to one window of prompt tokens: `prefix`, then each answer without its last token.

    An answer sees the prefix and itself, at the positions that it would have alone.
    """

    prefix: list[int]
    answers: list[tuple[int, list[int]]]  # (index of the request, token ids)

    def __len__(self) -> int:
        return len(self.prefix) + sum(len(ids) - 1 for _, ids in self.answers)


def pack(requests: Sequence[Request], context: int, share: bool = True) -> list[Pack]:
    """Return the requests as packs, longest first; prompts are cut from the left as lm-eval cuts them.

    A prompt and answer of more than `context` + 1 tokens keep the last `context` + 1. Answers of unequal
    length then see unequal windows of a prompt and go into packs of their own, as all do without `share`.
    """
    packs: dict[tuple[int, ...], Pack] = {}
    for index, (_, prompt, answer) in enumerate(requests):
        if not 0 < len(answer) <= context:
            raise AnswerTooLong(f"an answer of {len(answer)} tokens does not fit a context of {context}")
        prefix = prompt[max(0, len(prompt) + len(answer) - (context + 1)) :]
        key = tuple(prefix) if share else (index,)
        packs.setdefault(key, Pack(prefix, [])).answers.append((index, answer))
    return sorted(packs.values(), key=lambda p: (-len(p), p.prefix))


def batches(packs: Sequence[Pack]) -> Iterator[list[Pack]]:
    """Yield packs (longest first) in batches of at most BATCH_TOKENS tokens, at least one pack each."""
    start = 0
    while start < len(packs):
        size = max(1, BATCH_TOKENS // len(packs[start]))
        yield list(packs[start : start + size])
        start += size


class Scorer(TemplateLM):
    """A decoder behind lm-eval's interface. Only log-likelihoods: our models are not asked to generate."""

    def __init__(self, model: Decoder, memo: Memo) -> None:
        super().__init__()
        self.model = model
        self.memo = memo
        self.cost = Cost()

    @property
    def eot_token_id(self) -> int:
        return int(self.memo.tokenizer.eos_token_id)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return self.memo.encode(string)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return per (prompt, answer) the log-likelihood in nats and whether the answer is the greedy one."""
        return super().loglikelihood(requests, disable_tqdm=True)

    @torch.no_grad()
    def _loglikelihood_tokens(self, requests: Sequence[Request], **kwargs: Any) -> list[tuple[float, bool]]:
        """Return per request the log-likelihood of the answer (nats) and whether it is the greedy choice."""
        results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for batch in batches(pack(requests, self.model.shape.context, self.model.packs)):
            for index, result in self._score(batch):
                results[index] = result
        return results

    def _score(self, batch: list[Pack]) -> Iterator[tuple[int, tuple[float, bool]]]:
        width = max(map(len, batch))
        shape = (len(batch), width)
        tokens, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        segments = torch.full(shape, -1, dtype=torch.long)  # 0: prefix, n: n-th answer, -1: padding
        rows: list[int] = []
        columns: list[int] = []
        for row, p in enumerate(batch):
            end = len(p.prefix)
            tokens[row, :end] = torch.tensor(p.prefix)
            positions[row, :end] = torch.arange(end)
            segments[row, :end] = 0
            for number, (_, ids) in enumerate(p.answers, 1):
                more = len(ids) - 1
                tokens[row, end : end + more] = torch.tensor(ids[:-1], dtype=torch.long)
                positions[row, end : end + more] = torch.arange(len(p.prefix), len(p.prefix) + more)
                segments[row, end : end + more] = number
                rows += [row] * len(ids)
                columns += [len(p.prefix) - 1, *range(end, end + more)]
                end += more
        device = next(self.model.parameters()).device
        seen: dict[str, Tensor] = {}
        if self.model.packs:  # else a row is one text, and padding comes after it: what is usual is right
            seen = {"positions": positions.to(device), "mask": _visible(segments.to(device))}
        places = (torch.tensor(rows, device=device), torch.tensor(columns, device=device))
        logits = self.model.logits(tokens.to(device), *places, **seen)
        answers = [answer for p in batch for answer in p.answers]
        targets = torch.tensor([t for _, ids in answers for t in ids], device=device)
        losses = F.cross_entropy(logits, targets, reduction="none").cpu()
        greedy = (logits.argmax(-1) == targets).cpu()
        read = sum(map(len, batch))
        self.cost.add(read, flops_per_token(self.model.shape, training=False, length=tokens.shape[1]) * read)
        start = 0
        for index, ids in answers:
            part = slice(start, start + len(ids))
            yield index, (-float(losses[part].double().sum()), bool(greedy[part].all()))
            start += len(ids)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError("tasks on whole texts are not scored")

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        raise NotImplementedError("tasks that generate text are not scored")


def _visible(segments: Tensor) -> Tensor:
    """Return which tokens each sees in packed sequences, batch x 1 x length x length.

    Earlier ones of the prefix (segment 0) and of its own segment.
    """
    mine, theirs = segments[:, :, None], segments[:, None, :]
    return (((theirs == 0) | (theirs == mine)).tril())[:, None]
