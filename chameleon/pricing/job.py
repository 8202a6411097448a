"""One job of a plan."""

from dataclasses import dataclass, field

#: Reading order of the stages; the order in which the text goes through them.
STAGES = ("fetch", "prepare", "tokenizer", "tokens", "proxy", "embed", "extra", "swarm", "weights",
          "forecast", "base", "evaluate", "fewshot", "sensitivity", "report")  # fmt: skip


@dataclass
class Job:
    """One job.

    Attributes:
        name: unique.
        stage: one of STAGES.
        scenario, method: "" for what several share.
        scale: whose speed its operations run at; "" where there are none.
        tokens: read by a model; read: those of them that passes without gradients read.
        train_flops, forward_flops: operations in training and in passes without gradients.
        ordered_flops: those of the passes that an online method orders: part of the price of its weights.
        objective: key of `Speed.objectives` for a run under a method's objective.
        disk: bytes that stay; passing: that go once the next step is done.
        memory: bytes of its largest moment, of the jobs that read text.
        text: (kind, megabytes) for the jobs that read text; see `text.SECONDS_PER_MB`.
        fixed: kind of start-up and other work that no token pays; see `text.FIXED_SECONDS`.
        threads, gpus: what it occupies.
        here: it runs where Snakemake does, not on a cluster.
        needs: names of the jobs that it waits for.
    """

    name: str
    stage: str
    scenario: str = ""
    method: str = ""
    scale: str = ""
    tokens: float = 0.0
    read: float = 0.0
    train_flops: float = 0.0
    forward_flops: float = 0.0
    ordered_flops: float = 0.0
    objective: str = ""
    disk: float = 0.0
    passing: float = 0.0
    memory: float = 0.0
    text: tuple[str, float] = ("", 0.0)
    fixed: str = "light"
    threads: int = 1
    gpus: int = 0
    here: bool = False
    needs: tuple[str, ...] = field(default_factory=tuple)

    @property
    def flops(self) -> float:
        return self.train_flops + self.forward_flops
