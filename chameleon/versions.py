"""The version of every stage: part of every job's identity, so that a bump reruns the stage.

Snakemake does not see edits in the package. Bump a stage's number when a change of its code changes its
numbers; leave it for a comment, a faster form or a better message. A test keeps a digest of each stage's
source, comments and docstrings left out, and fails until the change is either bumped or acknowledged.
"""

STAGES: dict[str, int] = {
    "corpora": 1,
    "tokenizer": 1,
    "tokens": 1,
    "train": 3,
    "embeddings": 2,
    "weights": 2,
    "evaluate": 2,
    "items": 1,
    "fewshot": 1,
    "collect": 2,
    "tables": 2,
    "figures": 2,
    "sensitivity": 1,
}

#: Files whose code decides a stage's numbers (globs below the checkout's root).
SOURCES: dict[str, tuple[str, ...]] = {
    "corpora": ("chameleon/corpora/**/*.py",),
    "tokenizer": ("chameleon/tokenizer.py",),
    "tokens": ("chameleon/tokens.py",),
    "train": (
        "chameleon/train.py",
        "chameleon/model.py",
        "chameleon/losses.py",
        "chameleon/engine.py",
        "chameleon/optim.py",
        "chameleon/stacked.py",
        "chameleon/sampler.py",
        "chameleon/stages.py",
        "chameleon/swarm.py",
        "chameleon/reweighting/*.py",
        # Losses of swarms, and what an online method sees while the base model trains.
        "chameleon/evaluation/perplexity.py",
        "chameleon/weighting.py",
    ),
    "embeddings": (
        "chameleon/embeddings.py",
        "chameleon/low_precision.py",
        "chameleon/domain_mean.py",
        "chameleon/stages.py",
    ),
    "weights": (
        "chameleon/krls.py",
        "chameleon/interfaces.py",
        "chameleon/weighting.py",
        "chameleon/embedding_files.py",
        "chameleon/regression/mixtures.py",
        "chameleon/regression/models.py",
        "chameleon/regression/propose.py",
    ),
    "evaluate": ("chameleon/evaluation/perplexity.py", "chameleon/stages.py"),
    "items": (
        "chameleon/evaluation/items.py",
        "chameleon/evaluation/task_files.py",
        "chameleon/corpora/clean.py",
    ),
    "fewshot": (
        "chameleon/evaluation/fewshot.py",
        "chameleon/evaluation/harness.py",
        "chameleon/evaluation/scorer.py",
    ),
    "collect": ("chameleon/collect.py", "chameleon/evaluation/fewshot_rows.py"),
    "tables": (
        "chameleon/tables/*.py",
        "chameleon/corpus_tables.py",
        "chameleon/comparisons.py",
        "chameleon/judging.py",
        "chameleon/verdicts.py",
        "chameleon/summary.py",
        "chameleon/published/*.py",
        "chameleon/stats.py",
        "chameleon/tidy.py",
        "chameleon/pages.py",
    ),
    "figures": (
        "chameleon/figures/*.py",
        "chameleon/comparisons.py",
        "chameleon/labels.py",
        "chameleon/stats.py",
        "chameleon/tidy.py",
    ),
    "sensitivity": ("chameleon/sensitivity/*.py",),
}
