"""The version of every stage: part of every job's identity, so that a bump reruns the stage.

Snakemake does not see edits in the package. Bump a stage's number when a change of its code changes its
numbers; leave it for a comment, a faster form or a better message. A test keeps a digest of each stage's
source (tests/unit/stage_sources.py lists it), comments and docstrings left out, and fails until the change
is either bumped or acknowledged.
"""

STAGES: dict[str, int] = {
    "corpora": 1,
    "tokenizer": 1,
    "tokens": 1,
    "train": 3,
    "embeddings": 2,
    "sentences": 1,
    "weights": 2,
    "forecast": 1,
    "evaluate": 3,
    "items": 1,
    "fewshot": 1,
    "collect": 4,
    "tables": 5,
    "figures": 8,
    "page": 1,
    "sensitivity": 1,
}
