"""Starting a job as several processes, and ending them together.

`start` runs the job's own command once per rank, with the environment variables of `torchrun` (which starts
ranks as well: `joined` asks for nothing but these), on several nodes through `srun`. It differs from torchrun
in how a job ends. The first error of any rank becomes the job's, in its own words. A signal is passed on, and
ranks that save their state are given the time they need. The other ranks of one that died are killed: in the
middle of a sum they would wait for it until a time-out.
"""

import ctypes
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from chameleon.core.errors import Diverged, Interrupted, UserError
from chameleon.training.resume.interruption import watching

#: Set for ranks that `start` has started, and listens to.
LISTENED = "CHAMELEON_RANKS"
#: Under this key of the ranks' common store lies the first error.
_FAILED = "chameleon/failed"
#: How long a sum may wait for the slowest rank, which may be writing a large state.
PATIENCE = timedelta(hours=1)
#: Of Linux's prctl: the signal that a process gets when the one that started it ends.
_PDEATHSIG = 1
#: Seconds that ranks have to end by themselves after one has failed.
GRACE = 5.0


def is_rank() -> bool:
    """Return whether this process is one of several that were started together."""
    return "MASTER_PORT" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def start(arguments: Sequence[str], processes: int) -> None:
    """Run `python -m chameleon` with these arguments as `processes` ranks and wait for them.

    Raises:
        UserError: the nodes or GPUs do not fit the number; a rank was killed.
        Interrupted: a signal came while nothing could be saved.
        Exception: what the first rank that failed has raised.
    """
    from torch.distributed import TCPStore

    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
    _check(processes, nodes)
    host = socket.gethostname() if nodes > 1 else "127.0.0.1"
    store = TCPStore(host, 0, is_master=True, wait_for_workers=False)
    common = {
        **os.environ,
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        LISTENED: "1",
    }
    command = [sys.executable, "-m", "chameleon", *arguments]
    ranks: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as said, watching() as signals:
        if nodes > 1:
            ranks.append(subprocess.Popen([*_srun(processes, nodes), *command], env=common))
        for rank in range(processes) if nodes == 1 else ():
            # One voice: what another rank says is shown if it dies without a word of its own.
            own = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            quiet = {"stdout": said, "stderr": said} if rank else {}
            ranks.append(subprocess.Popen(command, env=own, **quiet))  # type: ignore[call-overload]
        died = _ended(ranks, signals.numbers, lambda: bool(store.check([_FAILED])))
        if store.check([_FAILED]):
            raise _unpacked(store.get(_FAILED))
        if died is not None and signals.received:
            raise Interrupted(f"{signals.received} came while nothing could be saved")
        if died is not None:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            code = ranks[died].wait()
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise UserError(f"process {died} of {processes}: {how}")


def _check(processes: int, nodes: int) -> None:
    import torch

    if processes % nodes:
        raise UserError(f"--processes {processes}: is no multiple of the job's {nodes} nodes")
    if torch.cuda.is_available() and processes // nodes > (seen := torch.cuda.device_count()):
        raise UserError(f"--processes {processes}: on {nodes} node(s), but there are {seen} GPUs on this one")


def _srun(processes: int, nodes: int) -> list[str]:
    """Return what starts all ranks, inside the step that the job runs in."""
    step = ["srun", "--overlap", "--cpu-bind=none", "--kill-on-bad-exit=1", f"--nodes={nodes}"]
    return [*step, f"--ntasks={processes}", f"--ntasks-per-node={processes // nodes}"]


def _ended(
    ranks: Sequence[subprocess.Popen[bytes]], received: Sequence[int], failed: Callable[[], bool]
) -> int | None:
    """Wait until all have ended, those too that a failed one would let wait; return the first that failed.

    Args:
        ranks: all that were started.
        received: signals, which are passed on as they come.
        failed: whether a rank has told an error.
    """
    first, deadline, passed_on = None, math.inf, 0
    try:
        while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
            for rank in ranks if len(received) > passed_on else ():
                if rank.poll() is None:
                    rank.send_signal(received[passed_on])
            passed_on = min(passed_on + 1, len(received))
            first = _first(ranks) if first is None else first
            if deadline == math.inf and (first is not None or failed()):
                deadline = time.monotonic() + GRACE
            time.sleep(0.05)
        return _first(ranks) if first is None else first
    finally:
        for rank in ranks:
            if rank.poll() is None:
                rank.kill()
            rank.wait()


def _first(ranks: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Return the number of a rank that has ended with an exit code other than 0, if there is one."""
    return next((i for i, rank in enumerate(ranks) if rank.poll()), None)


@contextmanager
def joined(processes: int) -> Iterator[int]:
    """Be one of the ranks within; yields how many of them are on this node.

    Where `start` listens, an error is told to it, and this process ends.

    Raises:
        UserError: another number of processes was started.
    """
    import torch
    from torch import distributed as dist

    from chameleon.training.distributed.ranks import Ranks, here, stand

    env = os.environ
    rank, local = (int(env.get(name) or env[slurm]) for name, slurm in
                   (("RANK", "SLURM_PROCID"), ("LOCAL_RANK", "SLURM_LOCALID")))  # fmt: skip
    world = int(env["WORLD_SIZE"])
    if world != processes:
        raise UserError(f"--processes {processes}: {world} were started")
    listened = LISTENED in env
    store = dist.TCPStore(
        env["MASTER_ADDR"], int(env["MASTER_PORT"]), timeout=PATIENCE, wait_for_workers=False,
        is_master=rank == 0 and env.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
    )  # fmt: skip
    if listened:
        # If who started it is killed, a rank saves and stops, as at any SIGTERM.
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
    try:
        gpus = torch.cuda.is_available()
        if gpus:
            torch.cuda.set_device(local)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=dist.PrefixStore("ranks", store), rank=rank, world_size=world, timeout=PATIENCE,
            device_id=torch.device("cuda", local) if gpus else None,
        )  # fmt: skip
        stand(Ranks(rank, world))
        yield world // int(env.get("SLURM_JOB_NUM_NODES", "1")) if listened else world
        # Rank 0 writes what the others have computed: none leaves before it has.
        here().agreed(None)
    except Exception as error:
        if not listened:
            raise
        store.compare_set(_FAILED, "", _packed(error, rank))
        sys.stderr.flush()
        # Not the interpreter's way out: it would wait for sums that nobody answers any more.
        os._exit(1)
    finally:
        stand(Ranks())
    dist.destroy_process_group()


#: Errors that mean something to whoever calls a job; any other is a bug, of which the words are passed on.
_KINDS = {kind.__name__: kind for kind in (UserError, Diverged, Interrupted)}


def _packed(error: Exception, rank: int) -> str:
    """Return an error as text, its traceback a note where a bug is likely."""
    told: dict[str, Any] = {"kind": type(error).__name__, "args": [str(error)], "more": vars(error)}
    if isinstance(error, OSError):
        told = {"kind": "OSError", "args": [error.errno, error.strerror, error.filename], "more": {}}
    elif told["kind"] not in _KINDS:
        error.add_note(f"in process {rank}:\n" + "".join(traceback.format_exception(error)))
        told = {"kind": "", "args": [f"{told['kind']}: {error}"], "more": {"__notes__": error.__notes__}}
    return json.dumps(told, default=str)


def _unpacked(text: bytes) -> Exception:
    told = json.loads(text)
    if told["kind"] not in _KINDS:
        error: Exception = (OSError if told["kind"] else RuntimeError)(*told["args"])
    else:
        # Not by its own constructor, which may ask for more than a message.
        error = _KINDS[told["kind"]].__new__(_KINDS[told["kind"]], *told["args"])
    error.__dict__.update(told["more"])
    return error
