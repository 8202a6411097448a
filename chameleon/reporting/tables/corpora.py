"""Tables of the corpora: what each domain stands for and how large it is, and the licence of every source.

Reads results/corpora/{corpus}/report.json; used by chameleon.reporting.tables.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from chameleon.core.errors import UserError
from chameleon.data.corpora.fields import WITHOUT_DOMAIN, WITHOUT_TEXT
from chameleon.reporting.records.reading import read_json
from chameleon.reporting.records.tidy import markdown

SPLITS = ("train", "validation", "test")
#: Counts of the preparation shown to people, with their headings; the csv has all.
SHOWN = {"exact_duplicates": "exact duplicates", "near_duplicates": "near duplicates",
         "cross_split_duplicates": "duplicates across splits"}  # fmt: skip
#: Counts that a domain has only where they are not zero.
SKIPPED = (WITHOUT_TEXT, WITHOUT_DOMAIN)
SOURCE = ("registry", "package", "version", "file", "bytes", "sha256", "licence", "redistributable")


def corpus_tables(
    results: Path, corpora: list[str], lost: Mapping[str, str] | None = None
) -> dict[str, tuple[pd.DataFrame, str, str]]:
    """Return {table name: (tidy frame, caption, Markdown body)} for the named corpora.

    Args:
        results: folder that holds `corpora/`.
        corpora: names.
        lost: {corpus: what became of it} of further ones that a run that failed has not prepared.

    Raises:
        UserError: a report is missing, no JSON, or lacks a field.
    """
    domains: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    for corpus in corpora:
        path = Path(results) / "corpora" / corpus / "report.json"
        report = read_json(path)
        try:
            for domain in report["order"]:
                record = report["domains"][domain]
                domains.append(_domain(corpus, domain, record))
                sources += [{"corpus": corpus, "domain": domain, **{k: s.get(k) for k in SOURCE}}
                            for s in record["sources"]]  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a corpus report: {type(error).__name__} {error}") from error
    for reason in SKIPPED:
        if any(reason in row for row in domains):
            domains = [{**row, reason: row.get(reason, 0)} for row in domains]
    return {"corpora": _corpora(domains, lost or {}), "licences": _licences(sources, lost or {})}


def _domain(corpus: str, domain: str, record: dict[str, Any]) -> dict[str, Any]:
    row = {"corpus": corpus, "domain": domain}
    row |= {key: record.get(key) or "" for key in ("title", "stands_for", "differs")}
    for split in SPLITS:
        for unit in ("documents", "bytes"):
            row[f"{split}_{unit}"] = record["splits"][split][unit]
    return {**row, **record["counts"]}


def _corpora(rows: list[dict[str, Any]], lost: Mapping[str, str]) -> tuple[pd.DataFrame, str, str]:
    body = []
    for row in rows:
        sizes = [f"{row[f'{s}_documents']:,} / {row[f'{s}_bytes'] / 1e6:.2f}" for s in SPLITS]
        counts = [f"{row[count]:,}" if count in row else "–" for count in SHOWN]
        about = [row[key] or "–" for key in ("title", "stands_for", "differs")]
        body.append([f"{row['corpus']}/{row['domain']}", *about, *sizes, *counts])
    header = ["corpus/domain", "text", "stands for", "how it differs",
              *(f"{s} (documents / MB)" for s in SPLITS), *SHOWN.values()]  # fmt: skip
    body += [[corpus, *[became] * (len(header) - 1)] for corpus, became in lost.items()]
    caption = (
        "The domains of every corpus used: what each stands for in the paper's data, where it differs, "
        "documents and megabytes (10⁶ bytes of UTF-8) per split, and documents removed as duplicates."
    )
    return pd.DataFrame(rows), caption, markdown(header, body, text_columns=4)


def _licences(rows: list[dict[str, Any]], lost: Mapping[str, str]) -> tuple[pd.DataFrame, str, str]:
    body = []
    for row in rows:
        source = [row[key] or "–" for key in ("package", "version", "registry")]
        digest = f"`{row['sha256'][:12]}`" if row["sha256"] else "–"
        free = {True: "yes", False: "no"}.get(row["redistributable"], "unknown")
        licence = row["licence"] or "unknown"
        body.append([f"{row['corpus']}/{row['domain']}", *source, digest, licence, free])
    header = ["corpus/domain", "source", "version", "registry", "SHA-256 (first 12 digits)",
              "licence of the text", "redistributable"]  # fmt: skip
    body += [[corpus, *[became] * (len(header) - 1)] for corpus, became in lost.items()]
    caption = (
        "Where the text of every domain comes from and under which licence; text marked `no` may be "
        "fetched but not passed on and is never part of this repository (the csv has full digests and file "
        "names)."
    )
    frame = pd.DataFrame(rows, columns=["corpus", "domain", *SOURCE])
    return frame, caption, markdown(header, body, text_columns=len(header))
