"""The spec of every job: which jobs exist, and what each one is. Pure functions of the config, no torch.

A spec holds everything that changes a job's numbers and nothing else. Snakemake passes it as a parameter (a
changed spec reruns the job) and on the command line (the job knows nothing but its spec and its files). Those
of the sensitivity study are in `chameleon.experiment.specs.study`.
"""

# ruff: noqa: F401
from chameleon.experiment.specs.base import dump
from chameleon.experiment.specs.lengths import asked, check_finished
from chameleon.experiment.specs.results import (
    collect,
    evaluate,
    figures,
    groups,
    has_fewshot,
    kept_domains,
    kinds,
    page,
    start,
    tables,
    with_unseen,
)
from chameleon.experiment.specs.tasks import fewshot, items, own_files, uses_items
from chameleon.experiment.specs.text import fetch, part_of_text, part_of_tokens, prepare, tokenizer, tokens
from chameleon.experiment.specs.training import (
    after,
    checkpoint,
    extra_run,
    extra_runs,
    ordered_tokens,
    proxy,
    single_runs,
    start_of,
    swarm,
    swarm_groups,
    train,
)
from chameleon.experiment.specs.weighting import (
    embed,
    embedders,
    encoder,
    forecast,
    foretelling,
    needs_embeddings,
    sentences,
    weights,
)
