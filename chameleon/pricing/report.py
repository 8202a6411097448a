"""Prints the plan: what runs, per stage and per method, and how long it takes on this many cores."""

from collections.abc import Sequence

from chameleon.experiment import specs
from chameleon.experiment.config import Config
from chameleon.pricing import memory, text
from chameleon.pricing.job import STAGES, Job
from chameleon.pricing.jobs import Walk
from chameleon.pricing.objectives import objective_runs
from chameleon.pricing.queue import critical_path, simulate
from chameleon.pricing.schedule import Queue, makespan, reached, seconds
from chameleon.pricing.shapes import shape
from chameleon.pricing.speed import DEFAULT_FLOPS, Speed, given, measure
from chameleon.published import table

#: Stages that are the price of a method's weights.
WEIGHTING = ("proxy", "embed", "extra", "swarm", "weights")


def make(
    cfg: Config,
    cores: int,
    devices: int = 1,
    flops: float | None = None,
    measured: bool = False,
    here: bool = True,
) -> tuple[list[Job], list[float], Speed]:
    """Return a config's jobs, the seconds of each, and the speeds assumed.

    Args:
        cfg: the experiment.
        cores, devices: what the jobs run on.
        flops: operations per second of one job; None: measured or a documented default.
        measured: try real training steps on this machine.
        here: jobs run where Snakemake does, not on a cluster.
    """
    first = Walk(cfg).all()
    scales = {name: cfg.raw["scales"][name] for name in sorted({j.scale for j in first if j.scale})}
    if measured:
        threads = cfg.raw["threads"]["train"]
        slots = devices if cfg.raw.get("gpus_per_job") else max(1, cores // threads)
        speed = measure(
            scales, text.vocabulary(cfg.raw["tokenizer"]), threads, slots, list(objective_runs(cfg))
        )
        first = Walk(cfg, speed.objective_flops).all()
    else:
        speed = given(flops or DEFAULT_FLOPS, scales)
        if flops is None:
            speed.origin = (
                f"assumed {speed.origin}; --measure tries this machine, --device-flops names another"
            )
    return first, [seconds(job, speed, here) for job in first], speed


def render(
    cfg: Config,
    jobs: Sequence[Job],
    durations: Sequence[float],
    speed: Speed,
    cores: int,
    devices: int = 1,
    queue: Queue | None = None,
) -> str:
    """Return the plan as text; with a queue, also what that makes of it."""
    accelerators = devices if cfg.raw.get("gpus_per_job") else 0
    wall = makespan(jobs, durations, cores, accelerators)
    where = f"{cores} cores" + (f", {devices} devices" if cfg.raw.get("gpus_per_job") else "")
    lines = [
        f"{len(jobs)} jobs on {where}: {_hours(wall)} hours if nothing has run yet.",
        f"Speed: {speed.origin}.",
        *([_queued(queue, simulate(jobs, durations, cores, accelerators, queue))] if queue else []),
        "",
        "By stage, every job once:",
        _table(["stage", "jobs", "tokens", "FLOPs", "disk", "hours of jobs"], _by_stage(jobs, durations)),
        "",
        "By method, each by itself and in full for what methods share (mean over seeds):",
        _table(["scenario", "method", "weights: FLOPs", "weights: hours", "base: FLOPs", "base: hours"],
               _by_method(cfg, jobs, durations, speed), left=2),
    ]  # fmt: skip
    lines += ["", _longest(critical_path(jobs, durations))]
    lines += ["", "Memory of a training job at its peak:", _memory(cfg, jobs)]
    lines += ["", "From text to tokens: disk, and memory of a job at its peak:", _text(jobs)]
    if speed.train and speed.origin.startswith("measured"):
        shown = ", ".join(f"{n} {speed.train[n] / 1e9:.1f}/{speed.forward[n] / 1e9:.1f}" for n in speed.train)
        start = f"{speed.start or 0:.1f} s to start a job"
        lines += ["", f"GFLOP/s per job in training/forward passes: {shown}; {start}."]
    if blank := text.unknown(cfg):
        lines += ["", f"Size unknown before it is fetched, counted as nothing: {', '.join(blank)}."]
    if note := published(cfg, jobs):
        lines += ["", *note]
    left_out = (
        f"Not included: {'' if queue else 'a queue (--wait, --preempted), '}installing the environment. "
        "Estimated: size of text, work that no token pays (chameleon/pricing/text.py), passes that online "
        "methods order."
    )
    lines += ["", left_out]
    return "\n".join(lines)


def _queued(queue: Queue, found: tuple[float, float, float]) -> str:
    size, unit = (86400, "days") if found[0] > 86400 else (3600, "hours")
    middle, low, high = (seconds / size for seconds in found)
    spread = f" ({low:.2f} to {high:.2f} in eight of ten simulated runs)" if queue.preempted else ""
    said = f"{queue.wait / 60:g} minutes of waiting a job, {queue.preempted:g} preemptions an hour of one"
    more = f"{queue.start:g} seconds to start one on its node, {queue.limit} sent at once"
    return f"In a queue with {said}, {more}: {middle:.2f} {unit}{spread}."


def _longest(path: Sequence[tuple[Job, float]]) -> str:
    """Return the critical path as a line, its parts of no weight left out."""
    total = sum(spent for _, spent in path)
    shown = [f"{job.name} {_hours(spent)}" for job, spent in path if spent >= total / 100]
    return f"Longest chain, {_hours(total)} hours however many machines there are: {' > '.join(shown)}."


def _by_stage(jobs: Sequence[Job], durations: Sequence[float]) -> list[list[str]]:
    rows = []
    for stage in (*STAGES, "total"):
        mine = [(j, s) for j, s in zip(jobs, durations, strict=True) if stage in (j.stage, "total")]
        if mine:
            tokens, flops = sum(j.tokens for j, _ in mine), sum(j.flops for j, _ in mine)
            disk, spent = sum(j.disk for j, _ in mine), sum(s for _, s in mine)
            rows.append([stage, str(len(mine)), _short(tokens), f"{flops:.2e}", _bytes(disk), _hours(spent)])
    return rows


def _memory(cfg: Config, jobs: Sequence[Job]) -> str:
    rows = [
        [n.scale, n.objective or "plain", _short(n.parameters), str(n.blocks), _bytes(n.bytes)]
        for n in memory.needs(cfg, jobs, text.vocabulary(cfg.raw["tokenizer"]))
    ]
    return _table(["scale", "objective", "parameters", "blocks at once", "memory"], rows, left=2)


def _text(jobs: Sequence[Job]) -> str:
    steps: dict[str, list[Job]] = {}
    for job in jobs:
        if job.memory:
            steps.setdefault(job.name.split()[0], []).append(job)
    rows = [
        [step, str(len(mine)), _bytes(sum(j.disk for j in mine)), _bytes(sum(j.passing for j in mine)),
         _bytes(max(j.memory for j in mine))]
        for step, mine in steps.items()
    ]  # fmt: skip
    return _table(["step", "jobs", "disk", "for a while", "memory"], rows)


def _by_method(cfg: Config, jobs: Sequence[Job], durations: Sequence[float], speed: Speed) -> list[list[str]]:
    by_name = {job.name: (job, spent) for job, spent in zip(jobs, durations, strict=True)}
    rows = []
    for scenario, what in specs.collect(cfg)["scenarios"].items():
        for label in cfg.methods(scenario):
            corpora = what["methods"][label]["charged_corpora"]
            totals = [0.0] * 4
            for seed in cfg.seeds:
                weighting = [by_name[n] for n in reached(f"weights {scenario} {label} {seed}", jobs)]
                followed = what["methods"][label]["follows"]
                priced = [
                    (j, s) for j, s in weighting
                    if (j.stage in WEIGHTING and _charged(scenario, corpora, j))
                    or (j.stage == "base" and j.scenario == scenario and j.method in followed)
                ]  # fmt: skip
                base = [by_name[f"{stage} {scenario} {label} {seed}"] for stage in ("base", "evaluate")]
                # Passes that an online method orders run in the base job but are the price of its weights.
                ordered = base[0][0].ordered_flops
                waited = ordered / speed.forward.get(base[0][0].scale, DEFAULT_FLOPS)
                sums = (sum(j.flops for j, _ in priced) + ordered, sum(s for _, s in priced) + waited,
                        sum(j.flops for j, _ in base) - ordered,
                        sum(s for _, s in base) - waited)  # fmt: skip
                totals = [t + x / len(cfg.seeds) for t, x in zip(totals, sums, strict=True)]
            amounts = [f"{t:.2e}" if i % 2 == 0 else _hours(t) for i, t in enumerate(totals)]
            rows.append([scenario, label, *amounts])
    return rows


def _charged(scenario: str, corpora: Sequence[str], job: Job) -> bool:
    """Return whether a method pays for a shared job: not for what another scenario left."""
    if job.stage == "proxy":
        return job.scenario == scenario
    if job.stage == "embed":
        return job.name.split()[2] in corpora
    return True


def published(cfg: Config, jobs: Sequence[Job]) -> list[str]:
    """Return how the plan stands to the paper's FLOPs for SlimPajama weights, where the proxy is the paper's.

    The published numbers agree with 6·N·D for N = 12·blocks·width², the weights of the blocks' matrices: no
    head and no attention scores, which the plan counts. That is arithmetic of ours, not a statement of the
    paper.
    """
    flops = table("chameleon_weighting_flops").column("FLOPs")
    printed = {str(method).lower(): float(value) for method, value in flops.items()}
    by_name, lines = {job.name: job for job in jobs}, []
    for scenario in cfg.scenarios:
        model = cfg.raw["scales"][cfg.proxy_role(scenario)["scale"]]["model"]
        if "kind" in model or (model["n_layer"], model["d_model"]) != (6, 768):
            continue
        for label in cfg.methods(scenario):
            name = cfg.method(label)[0].name
            if not printed.get(name):
                continue
            weights = reached(f"weights {scenario} {label} {cfg.seeds[0]}", jobs)
            mine = [by_name[n] for n in weights if by_name[n].stage in WEIGHTING]
            # Passes without gradients cost a third of training.
            paper = sum(_matrices(cfg, j) * (6 * j.tokens - 4 * j.read) for j in mine)
            lines.append(
                f"{scenario}/{label}: {sum(j.flops for j in mine):.2e} FLOPs for the weights here, "
                f"{paper:.2e} of them in the blocks' matrices; published {printed[name]:.2e}, "
                f"{printed[name] / paper:.2g} times that."
            )
    if lines:
        note = (
            "Published FLOPs for SlimPajama weights agree with 6 per weight of the blocks' matrices and "
            "token (2 in passes without gradients), at 2,000 steps of 512 x 512 tokens for Chameleon's proxy "
            "and 10,000 for DoGE's and each of DoReMi's two; RegMix's are not known to be of which runs "
            "(docs/REPRODUCING.md). The plan counts the head and attention too."
        )
        lines.insert(0, note)
    return lines


def _matrices(cfg: Config, job: Job) -> int:
    """Return the weights of the blocks' matrices of a job's model."""
    if not job.scale:
        return 0
    found = shape(cfg, job.scale, text.vocabulary(cfg.raw["tokenizer"]))
    return found.n_layer * found.block_weights


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = (
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), line(["-" * w for w in widths]), *map(line, rows)])


def _hours(spent: float) -> str:
    hours = spent / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def _short(number: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f}{unit}"
    return f"{number:.0f}"


def _bytes(number: float) -> str:
    return "0" if number == 0 else f"{_short(number)}B"
