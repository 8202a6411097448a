"""When a run has gone wrong: a loss that is not finite, or one far above guessing."""

import math

from chameleon.core.errors import Diverged

#: A mean loss of more than so many times that of guessing uniformly (ln of the vocabulary) has exploded.
EXPLODED = 3.0


def check(
    label: str, loss: float, norm: float, vocab_size: int, step: int, rate: float, domains: set[str]
) -> None:
    """Let a good step pass.

    Args:
        label: of the run, for the message.
        loss: mean of the batch, nats/token.
        norm: of the gradient.
        step: optimizer steps done before.
        rate: learning rate of the step.
        domains: of the batch.

    Raises:
        Diverged: the loss or the norm is not finite, or the loss has exploded.
    """
    guessing = math.log(vocab_size)
    if not math.isfinite(loss):
        why = f"loss is not finite ({loss})"
    elif not math.isfinite(norm):
        why = f"gradient norm is not finite ({norm})"
    elif loss > EXPLODED * guessing:
        why = f"loss has exploded ({loss:.1f} nats; guessing gives {guessing:.1f})"
    else:
        return
    where = f"at step {step} (learning rate {rate:.3g}, domains {', '.join(sorted(domains))})"
    remedy = "lower the scale's lr, or raise its warmup"
    raise Diverged(f"{label}: {why} {where}; {remedy}", step, rate, sorted(domains))
