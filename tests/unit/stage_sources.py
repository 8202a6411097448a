"""Which files decide a stage's numbers, for the test of versions."""

#: What several stages pass through: setting a run up, reading what earlier jobs left.
_RUNS = ("chameleon/stages/common.py", "chameleon/stages/inputs.py")
#: What the methods share that learn from other methods' runs.
_EXPERTS = (
    "chameleon/methods/likelihood.py",
    "chameleon/methods/merging.py",
    "chameleon/methods/merged.py",
    "chameleon/methods/gram.py",
)
_LAWS = (
    "chameleon/methods/regression/laws.py",
    "chameleon/methods/laws/method.py",
    "chameleon/methods/laws/solve.py",
    "chameleon/methods/rows.py",
)
_SHOWN = (
    "chameleon/reporting/records/tidy.py",
    "chameleon/reporting/records/missing.py",
    "chameleon/reporting/statistics/*.py",
)

#: Files whose code decides a stage's numbers (globs below the checkout's root).
SOURCES: dict[str, tuple[str, ...]] = {
    "corpora": ("chameleon/data/corpora/**/*.py",),
    "tokenizer": ("chameleon/data/tokenizer.py",),
    "tokens": ("chameleon/data/tokenizing.py", "chameleon/data/tokens.py", "chameleon/data/bpe.py"),
    "train": (
        "chameleon/training/**/*.py",
        "chameleon/data/sampler.py",
        "chameleon/data/order.py",
        *_RUNS,
        "chameleon/stages/runs.py",
        "chameleon/stages/swarm.py",
        "chameleon/methods/reweighting/*.py",
        "chameleon/methods/gradients/*.py",
        "chameleon/mixing/kept.py",
        # Losses of swarms, and what an online method sees while the base model trains.
        "chameleon/evaluation/perplexity.py",
    ),
    "embeddings": (
        "chameleon/embedding/embed.py",
        "chameleon/embedding/low_precision.py",
        "chameleon/embedding/layers.py",
        "chameleon/stages/measure.py",
    ),
    "sentences": ("chameleon/embedding/sentences.py", "chameleon/embedding/encoders.py"),
    "weights": (
        "chameleon/krls.py",
        "chameleon/mixture/settings.py",
        "chameleon/mixing/schedule.py",
        "chameleon/mixing/types.py",
        "chameleon/mixing/method.py",
        "chameleon/stages/inputs.py",
        "chameleon/stages/weighting.py",
        "chameleon/embedding/files.py",
        "chameleon/methods/regression/mixtures.py",
        "chameleon/methods/regression/models.py",
        "chameleon/methods/regression/propose.py",
        *_LAWS,
        "chameleon/methods/capped.py",
        "chameleon/methods/laws/exact.py",
        "chameleon/methods/rounds.py",
        "chameleon/methods/utilities.py",
        "chameleon/methods/feedback.py",
        *_EXPERTS,
    ),
    "forecast": (
        "chameleon/mixing/method.py",
        "chameleon/stages/inputs.py",
        "chameleon/stages/weighting.py",
        "chameleon/methods/regression/models.py",
        *_LAWS,
        *_EXPERTS,
    ),
    "evaluate": ("chameleon/evaluation/perplexity.py", *_RUNS, "chameleon/stages/measure.py"),
    "items": (
        "chameleon/evaluation/items.py",
        "chameleon/evaluation/task_files.py",
        "chameleon/data/corpora/clean.py",
    ),
    "fewshot": (
        "chameleon/stages/fewshot.py",
        "chameleon/evaluation/harness.py",
        "chameleon/evaluation/scorer.py",
    ),
    "collect": (
        "chameleon/reporting/records/collect.py",
        "chameleon/reporting/records/components.py",
        "chameleon/evaluation/fewshot_rows.py",
    ),
    "tables": (
        *_SHOWN,
        "chameleon/reporting/tables/*.py",
        "chameleon/reporting/verdicts/*.py",
        "chameleon/reporting/published/*.py",
        "chameleon/reporting/summary.py",
        "chameleon/reporting/pages.py",
        "chameleon/published/*.py",
    ),
    "figures": (*_SHOWN, "chameleon/reporting/figures/*.py", "chameleon/reporting/labels.py"),
    "page": (
        *_SHOWN,
        "chameleon/pages/document.py",
        "chameleon/pages/heat.py",
        "chameleon/pages/run.py",
        "chameleon/pages/scenario.py",
        "chameleon/pages/static/*",
        "chameleon/reporting/figures/costs.py",
        "chameleon/reporting/figures/style.py",
        "chameleon/reporting/verdicts/*.py",
        "chameleon/reporting/summary.py",
    ),
    "sensitivity": (
        *_SHOWN,
        "chameleon/sensitivity/**/*.py",
        "chameleon/krls.py",
        "chameleon/embedding/layers.py",
        "chameleon/reporting/tables/parts.py",
        "chameleon/reporting/figures/style.py",
    ),
}
