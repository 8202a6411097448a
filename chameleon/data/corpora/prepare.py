"""Clean, cut, cap, split and deduplicate a corpus: raw documents in, one parquet file per domain out.

First stage of the flow. Reads documents through `chameleon.data.corpora.base.iter_documents`; writes
`<out>/{domain}.parquet` (doc_id, split, text; sorted by split and doc_id) and `<out>/report.json`, last.

The order of steps, which the report counts: clean; cut long documents; drop short ones; drop exact
duplicates; cap; drop near duplicates within the domain; drop documents that are near duplicates of held-out
documents of any domain. A long document's pieces are documents of their own from then on: each goes to the
split of its own hash, so test and train may share a volume (never a passage). Splitting by whole volumes is
no option for a domain that is a dozen books: one book more or less in test would be another domain.
"""

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import atomic, fingerprint, write_json
from chameleon.core.errors import UserError
from chameleon.data.corpora.base import describe, domain_sources, iter_documents
from chameleon.data.corpora.clean import clean, cut, document_id, normalise, sampling_key, split_of
from chameleon.data.corpora.dedup import Document, NearDuplicates
from chameleon.data.corpora.fields import WITHOUT_DOMAIN, WITHOUT_TEXT

# Held-out documents come first, so that of two duplicates the training copy is the one to go.
PRIORITY = ("test", "validation", "train")
STEPS = (
    "raw",
    "cut_pieces",
    "too_short",
    "exact_duplicates",
    "capped",
    "near_duplicates",
    "cross_split_duplicates",
)
# Rows of the source that never were documents; in the report where there are any, and not in `raw`.
SKIPPED = (WITHOUT_TEXT, WITHOUT_DOMAIN)
PIECES = (
    "Documents longer than max_characters are cut at paragraph or line boundaries; each piece is split by "
    "its own hash, so train and test may hold different passages of one long document."
)


@dataclass
class Domain:
    """One domain while it is being prepared; the lists run in parallel, sorted by split priority and id."""

    ids: list[str]
    splits: list[str]
    texts: list[str]
    signatures: list[Any]
    counts: Counter[str]

    def keep(self, kept: list[int]) -> None:
        """Keep the documents at the positions `kept` only."""
        self.ids = [self.ids[i] for i in kept]
        self.splits = [self.splits[i] for i in kept]
        self.texts = [self.texts[i] for i in kept]
        self.signatures = [self.signatures[i] for i in kept] if self.signatures else []


def prepare(spec: Mapping[str, Any], out_dir: str | Path, threads: int) -> None:
    """Prepare every domain of a corpus.

    Args:
        spec: `{corpus, entry, domains, data, version}`; `data` has min_characters, max_characters,
            max_bytes_per_domain (null: no cap), seed, split {validation, test} and
            dedup {near, threshold, permutations, shingle_words}.
        out_dir: gets `{domain}.parquet` and `report.json`.
        threads: worker processes, at most one per domain; the output does not depend on it.

    Raises:
        UserError: a domain, or one split of it, ends up empty; or a source cannot be read.
    """
    names = list(spec["domains"])
    near = _near(spec["data"])
    jobs = [(spec["corpus"], spec["entry"], name, spec["data"]) for name in names]
    if min(threads, len(jobs)) > 1:
        # Spawned, not forked: the parent may have threads of pyarrow or tokenizers running.
        with ProcessPoolExecutor(min(threads, len(jobs)), mp_context=get_context("spawn")) as pool:
            results = list(pool.map(_prepare_domain, *zip(*jobs, strict=True)))
    else:
        results = [_prepare_domain(*job) for job in jobs]
    domains = dict(zip(names, results, strict=True))
    if near is not None:
        _drop_leaks(domains, near)
    for name, domain in domains.items():
        _refuse_empty(spec["corpus"], name, domain)
    reports = {name: _write(Path(out_dir), name, domain, spec["entry"]) for name, domain in domains.items()}
    write_json(
        Path(out_dir) / "report.json",
        {
            "corpus": spec["corpus"],
            "data": spec["data"],
            "order": names,
            "domains": reports,
            "notes": [PIECES],
            "sha256": fingerprint({name: report["sha256"] for name, report in reports.items()}),
        },
    )


def _near(data: Mapping[str, Any]) -> NearDuplicates | None:
    settings = data["dedup"]
    if not settings["near"]:
        return None
    return NearDuplicates(settings["threshold"], settings["permutations"], settings["shingle_words"])


def _prepare_domain(corpus: str, entry: Mapping[str, Any], name: str, data: Mapping[str, Any]) -> Domain:
    """Do every step that concerns one domain alone."""
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    domain = _collect(iter_documents(entry, name, counts), data, counts)
    near = _near(data)
    if near is not None:
        _drop_near_duplicates(domain, near)
    skipped = "".join(f", {n} rows {reason.replace('_', ' ')}" for reason, n in _skipped(domain).items())
    print(
        f"prepare: {corpus}/{name}: {len(domain.ids)} documents of {domain.counts['raw']} in "
        f"{time.perf_counter() - started:.0f} s{skipped}",
        file=sys.stderr,
        flush=True,
    )
    return domain


def _skipped(domain: Domain) -> dict[str, int]:
    """Return the rows of the source that are no documents, by reason."""
    return {reason: domain.counts[reason] for reason in SKIPPED if domain.counts[reason]}


def _collect(documents: Iterable[str], data: Mapping[str, Any], counts: Counter[str]) -> Domain:
    """Clean, cut, drop short and equal documents, and sample down to the cap.

    The cap keeps the documents with the smallest seeded hash keys: a uniform sample without replacement
    that does not depend on the order of the source and needs twice the cap in memory, not the source.
    What becomes of documents is added to `counts`.
    """
    cap = data["max_bytes_per_domain"]
    seen: set[bytes] = set()
    chosen: dict[bytes, tuple[str, str]] = {}
    held = 0
    for document in documents:
        counts["raw"] += 1
        pieces = list(cut(clean(document), data["max_characters"]))
        counts["cut_pieces"] += max(len(pieces) - 1, 0)
        if not pieces:
            counts["too_short"] += 1
        for piece in pieces:
            if len(piece) < data["min_characters"]:
                counts["too_short"] += 1
                continue
            doc_id = document_id(normalise(piece))
            short = bytes.fromhex(doc_id)[:16]
            if short in seen:
                counts["exact_duplicates"] += 1
                continue
            seen.add(short)
            chosen[sampling_key(data["seed"], doc_id)] = (doc_id, piece)
            held += len(piece.encode())
            if cap and held > 2 * cap:
                chosen, held = _sample(chosen, cap, counts)
    if cap:
        chosen, held = _sample(chosen, cap, counts)
    shares = data["split"]
    rows = [(split_of(doc_id, shares), doc_id, piece) for doc_id, piece in chosen.values()]
    rows.sort(key=lambda row: (PRIORITY.index(row[0]), row[1]))
    splits, ids, texts = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Domain(ids, splits, texts, [], counts)


def _sample(
    chosen: dict[bytes, tuple[str, str]], cap: int, counts: Counter[str]
) -> tuple[dict[bytes, tuple[str, str]], int]:
    """Keep the documents of smallest key that fit in `cap` bytes; return them and their bytes."""
    kept: dict[bytes, tuple[str, str]] = {}
    total = 0
    for key in sorted(chosen):
        size = len(chosen[key][1].encode())
        if total + size > cap:
            break
        kept[key] = chosen[key]
        total += size
    counts["capped"] += len(chosen) - len(kept)
    return kept, total


def _drop_near_duplicates(domain: Domain, near: NearDuplicates) -> None:
    """Drop near duplicates within a domain; of a pair in two splits the one further from test goes."""
    index = near.index()
    kept = []
    for position, text in enumerate(domain.texts):
        document = near.document(text)
        domain.signatures.append(document.signature)
        found = index.matches(document)
        if found:
            same_split = domain.splits[found[0]] == domain.splits[position]
            domain.counts["near_duplicates" if same_split else "cross_split_duplicates"] += 1
        else:
            index.add(position, document)
            kept.append(position)
    domain.keep(kept)


def _drop_leaks(domains: Mapping[str, Domain], near: NearDuplicates) -> None:
    """Drop documents that near-duplicate a held-out document of another domain.

    Validation is checked against test, then train against both; within a domain none are left by now.
    Exact duplicates cannot be in two splits (the split is a function of the text), and two domains may
    share a document within a split: it belongs to both.
    """
    index = near.index()
    for split in PRIORITY:
        held_out: list[Document] = []
        for domain in domains.values():
            kept = []
            for position, found_split in enumerate(domain.splits):
                if found_split == split:
                    document = near.document(domain.texts[position], domain.signatures[position])
                    if index.matches(document):
                        domain.counts["cross_split_duplicates"] += 1
                        continue
                    held_out.append(document)
                kept.append(position)
            domain.keep(kept)
        if split != "train":
            # Only now, as two documents of one split never leak into each other.
            for number, document in enumerate(held_out):
                index.add((split, number), document)


def _refuse_empty(corpus: str, name: str, domain: Domain) -> None:
    total = len(domain.ids)
    counted = {step: domain.counts[step] for step in STEPS} | _skipped(domain)
    dropped = ", ".join(f"{step} {count}" for step, count in counted.items())
    if total == 0:
        raise UserError(f"corpora.{corpus}: domain {name!r} has no documents left ({dropped})")
    for split in PRIORITY:
        if split not in domain.splits:
            raise UserError(
                f"corpora.{corpus}: domain {name!r}: split {split!r} is empty: {total} documents "
                f"are too few for data.split ({dropped})"
            )


def _write(out_dir: Path, name: str, domain: Domain, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Write one domain's parquet file and return its part of the report."""
    import pyarrow
    import pyarrow.parquet

    order = sorted(range(len(domain.ids)), key=lambda i: (domain.splits[i], domain.ids[i]))
    domain.keep(order)
    table = pyarrow.table({"doc_id": domain.ids, "split": domain.splits, "text": domain.texts})
    with atomic(out_dir / f"{name}.parquet") as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    rows = "".join(f"{split} {doc_id}\n" for split, doc_id in zip(domain.splits, domain.ids, strict=True))
    sizes: dict[str, dict[str, int]] = {split: {"documents": 0, "bytes": 0} for split in PRIORITY}
    for split, text in zip(domain.splits, domain.texts, strict=True):
        sizes[split]["documents"] += 1
        sizes[split]["bytes"] += len(text.encode())
    return {
        **describe(entry, name),
        "counts": {step: domain.counts[step] for step in STEPS} | _skipped(domain),
        "splits": sizes,
        "sources": domain_sources(entry, name),
        "sha256": hashlib.sha256(rows.encode()).hexdigest(),
    }
