"""A corpus of gigabytes from rows to token shards, in parts: speed, memory of every process, how both grow.

Makes a set laid out like one of the hub (parquet files, a domain field, eight domains) of words that no one
wrote, with planted duplicates: equal documents, documents with a few words changed, some of them in other
domains, and boilerplate at the head of many. Then every job that the workflow would run for it, some at once,
each a process of its own. `--gigabytes 0.25 1 4` makes three sets and prints the slope of time over size.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _turns import header

DOMAINS = [f"d{i}" for i in range(8)]
#: Bytes of text of a file of the set.
FILE = 64_000_000
WORDS = 60_000
#: Shares of documents that are another one again: as it is, and with few of its words changed.
EQUAL, NEAR, BOILERPLATE = 0.02, 0.03, 0.3
DATA = {
    "min_characters": 200, "max_characters": 12000, "max_bytes_per_domain": None, "seed": 0,
    "split": {"validation": 0.01, "test": 0.01},
}  # fmt: skip
DEDUP = {"near": True, "threshold": 0.8, "permutations": 64, "shingle_words": 5}


def vocabulary() -> np.ndarray:
    """Return made-up words of one to four syllables, the frequent ones short."""
    rng = np.random.default_rng(0)
    syllables = [c + v for c in "bcdfghklmnprstvw" for v in ("a", "e", "i", "o", "u", "an", "er", "ing")]
    lengths = np.minimum(4, 1 + (np.arange(WORDS) > 100) + rng.integers(0, 3, WORDS))
    return np.array(["".join(rng.choice(syllables, n)) for n in lengths])


def documents(rng: np.random.Generator, words: np.ndarray) -> Iterator[tuple[int, str]]:
    """Yield (domain, text) without end; lengths as those of web pages, frequencies after Zipf, by domain."""
    boilerplate = " ".join(words[rng.integers(0, WORDS, 60)])
    told: list[np.ndarray] = []
    while True:
        domain = int(rng.integers(len(DOMAINS)))
        turn = rng.random()
        if told and turn < EQUAL + NEAR:
            ids = told[int(rng.integers(len(told)))].copy()
            if turn > EQUAL:
                changed = rng.integers(0, len(ids), max(1, len(ids) // 60))
                ids[changed] = rng.integers(0, WORDS, len(changed))
        else:
            size = int(np.clip(rng.lognormal(5.8, 0.8), 60, 4000))
            ids = (rng.zipf(1.3, size) * (2 * domain + 1)) % WORDS
            if len(told) < 5000:
                told.append(ids)
        text = " ".join(words[ids])
        yield domain, f"{boilerplate} {text}" if domain == 0 and rng.random() < BOILERPLATE else text


def write_file(path: Path, seed: int, size: int) -> None:
    """Write one file of the set."""
    words, rng = vocabulary(), np.random.default_rng(seed)
    rows: list[tuple[str, dict[str, str]]] = []
    held = 0
    for domain, text in documents(rng, words):
        rows.append((text, {"set": DOMAINS[domain]}))
        held += len(text)
        if held >= size:
            break
    table = pa.table({"text": [text for text, _ in rows], "meta": [meta for _, meta in rows]})
    pq.write_table(table, path, row_group_size=2000)


def make_set(folder: Path, size: float) -> float:
    """Write a set of about `size` bytes of text; return the bytes."""
    folder.mkdir(parents=True)
    files = max(2, math.ceil(size / FILE))
    paths = [folder / f"train-{i:05d}-of-{files:05d}.parquet" for i in range(files)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write_file, paths, range(files), [int(size / files)] * files))
    return float(sum(pc.sum(pc.binary_length(pq.read_table(p)["text"])).as_py() for p in paths))


class Jobs:
    """Runs the workflow's jobs, some at a time; remembers seconds and the memory of the largest process."""

    def __init__(self, at_once: int, log: Path) -> None:
        self.at_once, self.log = at_once, log
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}

    def run(self, step: str, commands: Sequence[Sequence[str]]) -> None:
        """Run the jobs of a step; the next step waits for all."""
        clock = time.perf_counter()
        with ThreadPoolExecutor(self.at_once) as pool:
            peaks = list(pool.map(self._one, [["job", step, *command] for command in commands]))
        self.seconds[step] = time.perf_counter() - clock
        self.memory[step] = max(peaks)

    def _one(self, command: Sequence[str]) -> float:
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        with open(self.log, "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "chameleon", *command], stderr=log, env=one_thread
            )
            _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{command[1]} failed: see {self.log}")
        return used.ru_maxrss * 1024.0


def prepared(root: Path, source: Path, parts: int, near: bool, at_once: int) -> Jobs:
    """Run every job from the set in `source` to token shards in `root`."""
    entry = {
        "kind": "hf", "path": str(source), "split": "train", "text_field": "text", "domain_field": "meta.set",
        "domains": dict(zip(DOMAINS, DOMAINS, strict=True)), "streaming": True,
    }  # fmt: skip
    data = {**DATA, "dedup": {**DEDUP, "near": near}}
    spec = {"corpus": "made", "entry": entry, "domains": DOMAINS, "data": data, "version": 1}
    corpus, tokenizer, tokens = root / "corpora" / "made", root / "tokenizer", root / "tokens"
    corpus.mkdir(parents=True)
    (corpus / "sources.json").write_text("{}")
    jobs = Jobs(at_once, root / "log")
    of = {step: [root / f"{step}{i}" for i in range(parts)] for step in ("read", "gather", "encode")}

    def part(spec: Mapping[str, Any], number: int) -> list[str]:
        return ["--spec", json.dumps({**spec, "part": number, "parts": parts})]

    def paths(option: str, found: Sequence[Path]) -> list[str]:
        return [option, *map(str, found)]

    jobs.run("read", [[*part(spec, i), *paths("--out", [of["read"][i]])] for i in range(parts)])
    gathered = [
        [*part(spec, i), *paths("--reads", of["read"]), *paths("--out", [of["gather"][i]])]
        for i in range(parts)
    ]
    jobs.run("gather", gathered)
    inputs = [*paths("--reads", of["read"]), *paths("--gathers", of["gather"])]
    jobs.run(
        "prepare", [["--spec", json.dumps(spec), *inputs, "--out", str(corpus), "--threads", str(at_once)]]
    )
    for folder in (*of["read"], *of["gather"]):
        shutil.rmtree(folder)
    bpe = {"kind": "bpe", "vocab_size": 32000, "bytes_per_domain": 2_000_000, "seed": 0}
    learn = {**bpe, "domains": {"made": DOMAINS}, "version": 1}
    jobs.run(
        "tokenizer", [["--spec", json.dumps(learn), "--corpora", str(corpus.parent), "--out", str(tokenizer)]]
    )
    write = {"corpus": "made", "domains": DOMAINS, "shard_tokens": 33554432, "version": 1}
    both = ["--corpus", str(corpus), "--tokenizer", str(tokenizer)]
    jobs.run("encode", [[*part(write, i), *both, *paths("--out", [of["encode"][i]])] for i in range(parts)])
    last = [*both, *paths("--encoded", of["encode"]), *paths("--out", [tokens])]
    jobs.run("tokens", [["--spec", json.dumps(write), *last]])
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.15, 0.6])
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="jobs at the same time")
    parser.add_argument("--folder", type=Path, help="where the sets go (default: a temporary folder)")
    args = parser.parse_args()
    print(header(f"{args.parts} parts, {args.at_once} jobs at a time", "pyarrow", "tiktoken"))
    print("step, seconds (peak memory of a process, GB): MB of text a second and core")
    totals: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        for gigabytes in args.gigabytes:
            source = Path(temporary) / "set"
            size = make_set(source, gigabytes * 1e9)
            for near in totals:
                root = Path(temporary) / "run"
                jobs = prepared(root, source, args.parts, near, args.at_once)
                counts = json.loads((root / "corpora/made/report.json").read_text())["domains"]
                dropped = sum(
                    d["counts"]["near_duplicates"] + d["counts"]["cross_split_duplicates"]
                    for d in counts.values()
                )
                spent = sum(s for step, s in jobs.seconds.items() if step != "tokenizer")
                totals[near].append((size, spent))
                steps = " ".join(f"{s} {t:.0f} ({jobs.memory[s] / 1e9:.2f})" for s, t in jobs.seconds.items())
                form = f"near duplicates dropped ({dropped})" if near else "near duplicates stay"
                print(
                    f"{size / 1e9:5.2f} GB, {form}: {steps}: {size / 1e6 / spent / args.at_once:.1f} MB/s",
                    flush=True,
                )
                shutil.rmtree(root)
            shutil.rmtree(source)
    for near, found in totals.items():
        if len(found) > 1:
            sizes, seconds = np.log(np.array(found)).T
            form, slope = "with" if near else "without", np.polyfit(sizes, seconds, 1)[0]
            print(f"slope of time over size, {form} near duplicates: {slope:.2f}")


if __name__ == "__main__":
    main()
