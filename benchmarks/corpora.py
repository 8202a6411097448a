"""A corpus of gigabytes from rows to token shards, in parts: speed, memory of every process, how both grow.

Makes a set laid out like one of the hub (parquet files, a domain field, eight domains) of words that no one
wrote, with planted duplicates: equal documents, documents with a few words changed, some of them in other
domains, and boilerplate at the head of many. Then every job that the workflow would run for it, some at once,
each a process of its own. `--gigabytes 0.25 1 4` makes three sets and prints the slope of time over size;
`--killed 2` goes through the last of them once more and kills all jobs at work (SIGKILL) so often, in
another step each time and as soon as one job of it is done, then runs those that are missing, as the workflow
does: what was done must stay untouched, and the bytes at the end be those of the pass before.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
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
#: Steps that are cut off, in this order.
KILLED = ("read", "encode", "gather")
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

    def __init__(self, at_once: int, log: Path, killed: Sequence[str] = ()) -> None:
        """Take how many at a time, the file they write to, and the steps in which they are killed."""
        self.at_once, self.log, self.killed = at_once, log, killed
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        #: By step that was cut off: jobs that were killed, and those that were done and stayed so.
        self.cut: dict[str, tuple[int, int]] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, step: str, commands: Mapping[Path, Sequence[str]]) -> None:
        """Run the jobs of a step, by what they make; the next step waits for all."""
        clock, self.memory[step] = time.perf_counter(), 0.0
        if step in self.killed:
            killed = self._all(step, commands, cut_off=True)
            done = {path: _state(path) for path in commands if path.exists()}
            self.cut[step] = (killed, len(done))
            self._all(step, {path: told for path, told in commands.items() if path not in done})
            if any(_state(path) != state for path, state in done.items()):
                sys.exit(f"{step}: what was done was done again")
        else:
            self._all(step, commands)
        self.seconds[step] = time.perf_counter() - clock

    def _all(self, step: str, commands: Mapping[Path, Sequence[str]], cut_off: bool = False) -> int:
        """Run some jobs; with `cut_off` kill all when the first is done. Return how many were killed."""
        self._stopped = False
        with ThreadPoolExecutor(self.at_once) as pool:
            jobs = [pool.submit(self._one, ["job", step, *told]) for told in commands.values()]
            if cut_off:
                wait(jobs, return_when=FIRST_COMPLETED)
                time.sleep(1)
                with self._lock:
                    self._stopped = True
                    for process in self._running:
                        process.send_signal(signal.SIGKILL)
        found = [job.result() for job in jobs]
        self.memory[step] = max(self.memory[step], *(peak or 0.0 for peak in found))
        return sum(peak is None for peak in found)

    def _one(self, command: Sequence[str]) -> float | None:
        """Run a job; return the most memory it held, bytes, or None if it was killed; 0 if not begun."""
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        with open(self.log, "a", encoding="utf-8") as log:
            with self._lock:
                if self._stopped:
                    return 0.0
                process = subprocess.Popen(
                    [sys.executable, "-m", "chameleon", *command], stderr=log, env=one_thread
                )
                self._running.add(process)
            _, status, used = os.wait4(process.pid, 0)
            with self._lock:
                process.returncode = os.waitstatus_to_exitcode(status)
                self._running.remove(process)
        if self._stopped and process.returncode == -signal.SIGKILL:
            return None
        if status:
            sys.exit(f"{command[1]} failed: see {self.log}")
        return used.ru_maxrss * 1024.0


def _state(path: Path) -> list[tuple[str, int, int]]:
    """Return name, inode and time of change of all that a job made."""
    found = [path, *sorted(path.rglob("*"))]
    return [(str(p), p.stat().st_ino, p.stat().st_mtime_ns) for p in found]


def digest(root: Path) -> str:
    """Return the SHA-256 of all that later jobs read: prepared text, tokenizer, shards."""
    told = hashlib.sha256()
    for path in sorted(p for d in ("corpora", "tokenizer", "tokens") for p in (root / d).rglob("*")):
        if path.is_file() and path.name != "run.json":
            with open(path, "rb") as file:
                told.update(
                    f"{path.relative_to(root)} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode()
                )
    return told.hexdigest()


def prepared(
    root: Path, source: Path, parts: int, near: bool, at_once: int, killed: Sequence[str] = ()
) -> Jobs:
    """Run every job from the set in `source` to token shards in `root`, some steps cut off once."""
    entry = {
        "kind": "hf", "path": str(source), "split": "train", "text_field": "text", "domain_field": "meta.set",
        "domains": dict(zip(DOMAINS, DOMAINS, strict=True)), "streaming": True,
    }  # fmt: skip
    data = {**DATA, "dedup": {**DEDUP, "near": near}}
    spec = {"corpus": "made", "entry": entry, "domains": DOMAINS, "data": data, "version": 1}
    corpus, tokenizer, tokens = root / "corpora" / "made", root / "tokenizer", root / "tokens"
    corpus.mkdir(parents=True)
    (corpus / "sources.json").write_text("{}")
    jobs = Jobs(at_once, root / "log", killed)
    of = {step: [root / f"{step}{i}" for i in range(parts)] for step in ("read", "gather", "encode")}

    def each(step: str, spec: Mapping[str, Any], *more: str) -> None:
        told = {
            out: ["--spec", json.dumps({**spec, "part": i, "parts": parts}), *more, "--out", str(out)]
            for i, out in enumerate(of[step])
        }
        jobs.run(step, told)

    def one(step: str, spec: Mapping[str, Any], out: Path, *more: str) -> None:
        jobs.run(step, {out: ["--spec", json.dumps(spec), *more, "--out", str(out)]})

    def paths(option: str, found: Sequence[Path]) -> list[str]:
        return [option, *map(str, found)]

    each("read", spec)
    each("gather", spec, *paths("--reads", of["read"]))
    inputs = [*paths("--reads", of["read"]), *paths("--gathers", of["gather"])]
    one("prepare", spec, corpus, *inputs, "--threads", str(at_once))
    for folder in (*of["read"], *of["gather"]):
        shutil.rmtree(folder)
    bpe = {"kind": "bpe", "vocab_size": 32000, "bytes_per_domain": 2_000_000, "seed": 0}
    learn = {**bpe, "domains": {"made": DOMAINS}, "version": 1}
    one("tokenizer", learn, tokenizer, "--corpora", str(corpus.parent))
    write = {"corpus": "made", "domains": DOMAINS, "shard_tokens": 33554432, "version": 1}
    both = ["--corpus", str(corpus), "--tokenizer", str(tokenizer)]
    each("encode", write, *both)
    one("tokens", write, tokens, *both, *paths("--encoded", of["encode"]))
    return jobs


def told_of(jobs: Jobs) -> str:
    """Return seconds and memory of every step in a line."""
    return " ".join(f"{step} {t:.0f} ({jobs.memory[step] / 1e9:.2f})" for step, t in jobs.seconds.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.15, 0.6])
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="jobs at the same time")
    parser.add_argument(
        "--killed", type=int, default=0, choices=range(len(KILLED) + 1), help="kills of a last pass"
    )
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
                form = f"near duplicates dropped ({dropped})" if near else "near duplicates stay"
                speed = f"{size / 1e6 / spent / args.at_once:.1f} MB/s"
                print(f"{size / 1e9:5.2f} GB, {form}: {told_of(jobs)}: {speed}", flush=True)
                whole = digest(root)
                shutil.rmtree(root)
            if args.killed and gigabytes == args.gigabytes[-1]:
                jobs = prepared(root, source, args.parts, True, args.at_once, KILLED[: args.killed])
                if digest(root) != whole:
                    sys.exit("the bytes are others after the kills")
                cut = ", ".join(
                    f"{step}: {k} killed, {d} done and not repeated" for step, (k, d) in jobs.cut.items()
                )
                print(
                    f"{size / 1e9:5.2f} GB, cut off and the same bytes ({cut}): {told_of(jobs)}", flush=True
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
