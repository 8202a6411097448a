"""`chameleon job STAGE`: what the workflow calls, one subcommand per rule.

A job takes its spec as JSON (`chameleon.experiment.specs` makes it; Snakemake passes it) and the paths of its
files. Its options are the parameters of the function that does it, whose module is imported only then.
"""

import gc
import importlib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from chameleon.core import forks
from chameleon.stages.failures import reported

_PATHS: dict[str, Any] = {"type": Path, "nargs": "*", "default": []}
_GIVEN: dict[str, Any] = {"type": Path, "required": True}
_MAYBE: dict[str, Any] = {"type": Path}

#: What an option looks like; `dest` names the parameter where that is called otherwise.
OPTIONS: dict[str, dict[str, Any]] = {
    "spec": {"type": json.loads, "required": True, "help": "the job's identity as JSON"},
    "out": {**_GIVEN, "help": "file or folder to write"},
    "threads": {"type": int, "default": 1, "help": "threads to use"},
    "tokens": {**_GIVEN, "nargs": "+", "dest": "manifests", "help": "manifest.json of each corpus"},
    "tokenizer": {**_GIVEN, "help": "folder of the tokenizer"},
    "corpora": {**_GIVEN, "help": "folder with one folder per prepared corpus"},
    "corpus": {**_GIVEN, "help": "folder of a prepared corpus"},
    "model": {**_GIVEN, "dest": "model_dir", "help": "checkpoint folder"},
    "reads": {**_PATHS, "help": "folders of the parts that were read"},
    "gathers": {**_PATHS, "help": "folders of the parts that were gathered"},
    "encoded": {**_PATHS, "help": "folders of the parts that were tokenised"},
    "embeddings": {**_PATHS, "help": "embedding files"},
    "runs": {**_PATHS, "help": "the method's extra runs and swarm parts"},
    "others": {**_PATHS, "help": "weights files of methods it builds on"},
    "played": {**_PATHS, "help": "mixtures that the base runs of methods it follows have played"},
    "after": {**_PATHS, "help": "folders of the runs that it waited for"},
    "reference": {**_MAYBE, "help": "folder of the scenario's uniform proxy"},
    "asked": {
        "type": json.loads,
        "default": {},
        "help": "tokens and key that ask for them, by split, as JSON",
    },
    "stack": {"type": int, "default": 1, "help": "models trained as one batched model (default 1)"},
    "start": {**_MAYBE, "help": "checkpoint to go on from"},
    "weights": {**_GIVEN, "dest": "weights_file", "help": "weights file"},
    "results": {**_GIVEN, "help": "results folder"},
    "unfinished": {**_GIVEN, "help": "list of the jobs that Snakemake left undone"},
    "states": {"default": "never", "help": "how often a run is saved: 5min, 100steps, both, or never"},
    # None of the jobs' functions knows of it.
    "processes": {
        "type": int,
        "default": 1,
        "help": "processes that train the model together, one a GPU; speed only (default 1)",
    },
}


class Job(NamedTuple):
    """The function that does a job (module below `chameleon`), in a few words, options beside `spec`."""

    function: str
    text: str
    options: str


#: In the order of the flow.
JOBS: dict[str, Job] = {
    "fetch": Job("data.corpora.fetch:fetch", "download a corpus's packages into the cache", "out"),
    "read": Job("stages.text:read", "read and clean a part of a corpus", "out"),
    "gather": Job("stages.text:gather", "gather a part of what was read, by hash", "reads out"),
    "prepare": Job("stages.text:prepare", "clean, split and deduplicate a corpus",
                   "reads gathers out threads"),
    "tokenizer": Job("stages.text:tokenizer", "train the experiment's tokenizer", "corpora out"),
    "encode": Job("stages.text:encode", "tokenise a part of a corpus", "corpus tokenizer out threads"),
    "tokens": Job("stages.text:tokens", "write a corpus's token shards",
                  "corpus tokenizer encoded out threads asked"),
    "checkpoint": Job("stages.runs:checkpoint", "bring a checkpoint of others into the results",
                      "tokenizer out"),
    "proxy": Job("stages.runs:proxy", "train a scenario's proxy",
                 "tokens tokenizer out threads states processes"),
    "embed": Job("stages.measure:embed", "embed a corpus's domains", "tokens model out threads"),
    "encoder": Job("stages.text:encoder", "download the sentence encoder into the cache", "out"),
    "sentences": Job("stages.measure:sentences", "embed a corpus's domains with a sentence encoder",
                     "tokens tokenizer out threads"),
    "extra": Job("stages.runs:extra_run", "train a run that a method needs",
                 "tokens tokenizer after reference out threads states processes"),
    "swarm": Job("stages.swarm:swarm", "train a share of a method's small runs",
                 "tokens stack out threads states"),
    "weights": Job("stages.weighting:weights", "compute a method's weights",
                   "tokens embeddings runs others played out threads"),
    "forecast": Job("stages.weighting:forecast", "ask a method what others' mixtures will come to",
                    "tokens runs others out threads"),
    "train": Job("stages.runs:train", "train a base model",
                 "tokens weights embeddings runs others start tokenizer out threads states processes"),
    "evaluate": Job("stages.measure:evaluate", "test a base model", "tokens model out threads"),
    "start": Job("stages.measure:start", "test a checkpoint before it is finetuned",
                 "tokens model out threads"),
    "items": Job("stages.text:items", "write the few-shot tasks", "out"),
    "fewshot": Job("stages.fewshot:fewshot", "score base models on few-shot tasks", "results out threads"),
    "collect": Job("stages.report:collect", "gather results into tidy files", "results"),
    "tables": Job("stages.report:tables", "make tables from the tidy files", "results out"),
    "figures": Job("stages.report:figures", "make figures from the tidy files", "results out"),
    "summary": Job("stages.report:summary", "write the report's first page", "results"),
    "page": Job("stages.report:page", "write the page of the run", "results"),
    "partial": Job("stages.report:partial", "report on what a failed run has left",
                   "results unfinished threads"),
    "sensitivity_proxy": Job("stages.runs:proxy", "train a proxy of other length or size",
                             "tokens tokenizer out threads states"),
    "sensitivity_embed": Job("sensitivity.embed:embed", "embed the domains in every way that is varied",
                             "tokens model out threads"),
    "sensitivity": Job("sensitivity.measure:sensitivity", "weights at every setting, and their distances",
                       "results"),
    "sensitivity_report": Job("sensitivity.report:report", "make the study's tables and figures", "results"),
}  # fmt: skip


def find(name: str) -> Any:
    """Return the function that does a job.

    Loading torch makes many objects and no garbage: none is looked for on the way, and later searches leave
    out what was loaded. Nor does torch search all installed packages for devices that the suite cannot use.
    benchmarks/startup.py says what both save.
    """
    module, _, function = JOBS[name].function.partition(":")
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    gc.disable()
    try:
        loaded = importlib.import_module(f"chameleon.{module}")
    finally:
        gc.freeze()
        gc.enable()
    return getattr(loaded, function)


#: Jobs that begin with torch; of one thread and process, each is a fork of one that has it.
FORKED = ("proxy", "embed", "extra", "swarm", "weights", "train", "evaluate", "start", "sensitivity_proxy",
          "sensitivity_embed")  # fmt: skip


def keep() -> None:
    """Be the process of which jobs are forks."""
    from chameleon.cli import main

    def load() -> bool:
        for job in FORKED:
            find(job)
        import torch

        # A driver's library does not survive a fork.
        return not (torch.version.cuda or torch.version.hip)

    forks.keep(main, load)


def run(job: str, argv: Sequence[str], processes: int = 1, **given: Any) -> int | None:
    """Do one job; if it fails, say so beside its results."""
    if job in FORKED and processes <= 1 == given["threads"]:
        code = forks.ask(argv, ["-c", "from chameleon.cli import jobs; jobs.keep()"])
        if code is not None:
            return code
    if processes > 1:
        from chameleon.training import launch

        if launch.is_rank():
            # Its errors are told by the process that started it.
            with launch.joined(processes) as on_node:
                find(job)(**given | {"threads": max(1, given["threads"] // on_node)})
            return None
    with reported(job, given["out"]) if "out" in given else nullcontext():
        if processes > 1:
            launch.start(argv, processes)
        else:
            find(job)(**given)
    return None


def add_to(commands: Any) -> None:
    """Add `job` with its subcommands to a parser's subcommands."""
    text = "Do one job of the workflow. Snakemake calls these."
    top = commands.add_parser("job", help="what the workflow calls, one per rule", description=text)
    stages = top.add_subparsers(dest="job", required=True, metavar="STAGE")
    for name, job in JOBS.items():
        sub = stages.add_parser(name, help=job.text, description=job.text[0].upper() + job.text[1:] + ".")
        sub.set_defaults(handler=run)
        for option in ("spec", *job.options.split()):
            sub.add_argument(f"--{option}", **OPTIONS[option])
