"""Embedding domains: the suite against the official procedure, and what makes the two differ.

The official procedure is written anew here from its description: decode each window to text, tokenise it
again, pad a batch of 64 to its longest, run the whole GPT-2 of `transformers` with all hidden states, average
the middle one over all positions. The suite reads token ids, stops in the middle block and takes the mean
before that block's last product. Model: 6 blocks of width 256, random weights; windows of 512 tokens from the
sources of Python's standard library, a BPE of 4,096 trained on them. Forms take turns; medians count.
Run: `make bench`, or `python benchmarks/embedding.py [--rounds N]`.
"""

import argparse
import copy
import os
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _turns import Form, arguments, header, serve, take_turns

from chameleon.embedding.embed import window_means
from chameleon.embedding.layers import domain_mean, middle
from chameleon.training.device import keep_pages, pick_device
from chameleon.training.model import Decoder, ModelShape, save_pretrained

CORES = os.cpu_count() or 1
SHAPE = ModelShape(6, 4, 256, 512, 4096)
LENGTH, WINDOWS, DOMAINS, BATCH = 512, 512, 7, 64
FORMS: dict[str, tuple[dict[str, Any], int]] = {
    "official procedure": ({"kind": "official", "threads": CORES}, 1),
    "official, a job per core": ({"kind": "official", "threads": 1}, CORES),
    "suite, fp32": ({"kind": "suite", "precision": "fp32", "threads": 1}, CORES),
    "suite, bf16": ({"kind": "suite", "precision": "bf16", "threads": 1}, CORES),
    "suite, bf16, one job": ({"kind": "suite", "precision": "bf16", "threads": CORES}, 1),
}


class Ids:
    """A domain's token ids, read as the suite reads a stream."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        part: np.ndarray = self.ids[start:stop].astype(np.int64)
        return part


def prepare(folder: Path, files: int | None = None) -> None:
    """Write tokenizer, token ids of every domain and the model; `files` of the library, None: all."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    library = Path(sysconfig.get_path("stdlib"))
    texts = [p.read_text(errors="replace") for p in sorted(library.glob("*.py"))[:files]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SHAPE.vocab_size, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer=trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    fast.save_pretrained(folder)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    for domain in range(DOMAINS):
        np.save(folder / f"domain{domain}.npy", np.concatenate(ids[domain::DOMAINS]).astype(np.uint16))
    save_pretrained(Decoder(SHAPE).initialise(0), folder / "model", 0)


def read(folder: Path) -> tuple[list[Ids], list[np.ndarray]]:
    """Return every domain's ids and the starts of its windows."""
    streams = [Ids(np.load(folder / f"domain{d}.npy")) for d in range(DOMAINS)]
    rng = np.random.default_rng(0)
    return streams, [np.sort(rng.integers(len(s) - LENGTH, size=WINDOWS)) for s in streams]


class Official:
    """The published procedure. `padding` False leaves padding out of the mean (the procedure does not)."""

    def __init__(self, folder: Path, padding: bool = True) -> None:
        from transformers import GPT2Model, PreTrainedTokenizerFast

        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = GPT2Model.from_pretrained(folder / "model").to(pick_device()).eval()
        self.padding = padding

    def encode(self, ids: np.ndarray) -> Any:
        """Return the batch of token ids (and mask) that windows become."""
        texts = [self.tokenizer.decode(row.tolist()) for row in ids]
        batch = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=LENGTH)
        return batch.to(self.model.device)

    @torch.no_grad()
    def means(self, ids: np.ndarray) -> np.ndarray:
        """Return one embedding per window (rows of token ids)."""
        batch = self.encode(ids)
        states = self.model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
        ).hidden_states
        middle_states = states[len(states) // 2]
        if self.padding:
            return np.asarray(middle_states.mean(1).cpu())
        mask = batch["attention_mask"][:, :, None]
        return np.asarray(((middle_states * mask).sum(1) / mask.sum(1)).cpu())


def windows(stream: Ids, starts: np.ndarray) -> np.ndarray:
    return np.stack([stream.read(int(s), int(s) + LENGTH) for s in starts])


def worker(task: dict[str, Any]) -> None:
    folder = Path(task["folder"])
    torch.set_num_threads(task["threads"])
    streams, starts = read(folder)
    turn, batch = 0, task.get("batch", BATCH)

    def next_windows() -> tuple[Ids, np.ndarray]:
        nonlocal turn
        turn += 1
        at = turn * BATCH % WINDOWS
        return streams[turn % DOMAINS], starts[turn % DOMAINS][at : at + batch]

    if task["kind"] == "official":
        official = Official(folder)

        def run() -> None:
            official.means(windows(*next_windows()))
    else:
        keep_pages()
        model = Decoder(SHAPE).initialise(0).to(pick_device()).eval()

        def run() -> None:
            window_means(model, *next_windows(), LENGTH, middle(SHAPE.n_layer), task["precision"])  # type: ignore[arg-type]

    def piece() -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) / batch

    piece()
    serve(piece)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance of two domain embeddings relative to the second."""
    x, y = domain_mean(a), domain_mean(b)
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


def differences(folder: Path) -> None:
    """Print how far the suite's embeddings are from the official ones, and why."""
    streams, starts = read(folder)
    official, unpadded = Official(folder), Official(folder, padding=False)
    model, layer = Decoder(SHAPE).initialise(0).to(pick_device()).eval(), middle(SHAPE.n_layer)
    rounded = copy.deepcopy(model)
    for linear in (m for m in rounded.modules() if isinstance(m, torch.nn.Linear)):
        linear.weight.data = linear.weight.data.bfloat16().float()
    rows: dict[str, list[float]] = {}
    changed, lengths = 0, []
    for stream, all_starts in zip(streams, starts, strict=True):
        some = all_starts[::8]
        ids = windows(stream, some)
        same = np.zeros(len(ids), bool)
        theirs, without = [], []
        for i in range(0, len(ids), BATCH):
            part = ids[i : i + BATCH]
            batch = official.encode(part)
            back, mask = batch["input_ids"].cpu().numpy(), batch["attention_mask"].cpu().numpy()
            lengths += mask.sum(1).tolist()
            width = min(back.shape[1], LENGTH)
            same[i : i + BATCH] = (mask.sum(1) == LENGTH) & (back[:, :width] == part[:, :width]).all(1)
            theirs.append(official.means(part))
            without.append(unpadded.means(part))
        changed += int((~same).sum())
        reference, without_padding = np.concatenate(theirs), np.concatenate(without)
        ours = {p: window_means(model, stream, some, LENGTH, layer, p) for p in ("fp32", "bf16")}  # type: ignore[arg-type]
        found = {
            "windows that come back unchanged, fp32": apart(ours["fp32"][same], reference[same]),
            "windows that come back unchanged, bf16": apart(ours["bf16"][same], reference[same]),
            "the same, fp32 with weights rounded to bf16": apart(
                window_means(rounded, stream, some, LENGTH, layer)[same],  # type: ignore[arg-type]
                reference[same],
            ),
            "all windows, fp32": apart(ours["fp32"], reference),
            "all windows, fp32, padding left out of the official mean": apart(ours["fp32"], without_padding),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    print(
        f"\n{'relative distance of domain embeddings from the official ones':64} {'mean':>8} {'largest':>8}"
    )
    for name, values in rows.items():
        print(f"{name:64} {np.mean(values):8.1e} {max(values):8.1e}")
    print(
        f"{100 * changed / len(lengths):.1f} % of the windows come back as other tokens, with {min(lengths)} "
        f"to {max(lengths)} of {LENGTH}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of every form")
    args = arguments(parser, worker)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        forms = {n: Form(__file__, {**task, "folder": name}, jobs) for n, (task, jobs) in FORMS.items()}
        rates = take_turns(forms, args.rounds)
        first = rates[next(iter(FORMS))]
        print(header(f"{CORES} threads in all, windows of {LENGTH}", "transformers"))
        print(f"{'form':32} {'windows/s':>10} {'x official':>11} {'seconds for 7 x 512':>20}")
        for n, rate in rates.items():
            at = f"{n} ({FORMS[n][1]} x {FORMS[n][0]['threads']})"
            print(f"{at:32} {rate:10.1f} {rate / first:11.2f} {DOMAINS * WINDOWS / rate:20.0f}")
        differences(folder)


if __name__ == "__main__":
    main()
