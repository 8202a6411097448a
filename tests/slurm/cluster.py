"""A SLURM of one machine in a folder of its own: munge, a controller and three nodes, no accounting.

    python tests/slurm/cluster.py FOLDER       # up until Ctrl-C

Partition `cpu` has node n1, partition `gpu` nodes n2 and n3 with an accelerator each that only the scheduler
believes in. Nothing outside the folder is written or read but sockets, so that a SLURM of the machine is not
disturbed; commands find this one by SLURM_CONF. Needs Debian's `slurm-wlm` and `munge`, and to be root, since
a node daemon starts jobs as whoever sent them.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

NODES = {"n1": "CPUs=2", "n2": "CPUs=1 Gres=gpu:1", "n3": "CPUs=1 Gres=gpu:1"}
DAEMONS = ("munged", "slurmctld", "slurmd")
#: Memory is what the scheduler believes too: cores decide how many jobs run.
CONFIG = """
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={short}/munge,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
ReturnToService=2
MinJobAge=300
SlurmdTimeout=15
KillWait=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={short}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
{nodes}
PartitionName=cpu Nodes=n1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n2,n3 MaxTime=INFINITE State=UP
PartitionName=short Nodes=n1 MaxTime=1 State=UP
"""
GRES = "NodeName=n[2-3] Name=gpu Count=1 File=/dev/null\n"
CGROUP = "CgroupPlugin=cgroup/v1\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n"


class NoSlurm(Exception):
    """SLURM cannot be started here, in one line."""


@dataclass
class Cluster:
    """A running SLURM."""

    folder: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """What a command needs in its environment to talk to this SLURM."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """Return what a command of SLURM prints; it gets a minute."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise NoSlurm(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout

    def fail(self, node: str) -> None:
        """Let a node die: its daemon and all that runs on it, at once."""
        daemon = self.processes.pop(node)
        for pid in _of(node, daemon.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def start(self, name: str, *command: str) -> None:
        """Start a daemon in a session of its own, its words going to a file."""
        with open(self.folder / f"{name}.out", "ab") as said:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def node(self, name: str) -> None:
        """Start a node's daemon."""
        self.start(name, "slurmd", "-D", "-N", name)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Bring a SLURM up in an empty or missing folder; it goes down with all its jobs at the end.

    Raises:
        NoSlurm: it is not installed, this is not root, or a daemon did not come up; in one line.
    """
    check()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir()
    made = Cluster(folder)
    # The path of a socket (munge's, a job step's) may have 108 bytes; the folder of a test can have as many.
    short = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    _write(folder, short)
    try:
        files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        made.start("munged", "munged", "--foreground", "--force", f"--socket={short}/munge", *files)
        _until((short / "munge").exists, made, "munged")
        made.start("slurmctld", "slurmctld", "-D")
        for name in NODES:
            made.node(name)
        _until(lambda: _idle(made), made, "slurmctld")
        yield made
    finally:
        _down(made)
        shutil.rmtree(short)


def check() -> None:
    """Raise NoSlurm unless a SLURM can be started by this process."""
    if missing := [name for name in DAEMONS if shutil.which(name) is None]:
        raise NoSlurm(f"not installed: {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        raise NoSlurm("must be root: a node's daemon starts jobs as whoever sent them")


def _write(folder: Path, short: Path) -> None:
    """Write the configuration, with a port for each daemon that is free now; sockets are in `short`."""
    host = socket.gethostname().split(".")[0]
    ports = _free_ports(len(NODES) + 1)
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} RealMemory=1000000 {what}"
        for (name, what), port in zip(NODES.items(), ports[1:], strict=True)
    )
    config = CONFIG.format(host=host, port=ports[0], folder=folder, short=short, nodes=nodes)
    for name, text in (("slurm", config), ("gres", GRES), ("cgroup", CGROUP)):
        (folder / f"{name}.conf").write_text(text, encoding="utf-8")
    # Snakemake's executor takes SLURM_CONF from the jobs that it starts in a job.
    srun = folder / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n', encoding="utf-8"
    )
    srun.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _idle(made: Cluster) -> bool:
    with contextlib.suppress(NoSlurm, subprocess.TimeoutExpired):
        return made.call("sinfo", "-h", "-N", "-o", "%T").split().count("idle") >= len(NODES)
    return False


def _until(there: Callable[[], bool], made: Cluster, name: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():
        dead = made.processes[name].poll() is not None
        if dead or time.monotonic() > end:
            said = (made.folder / f"{name}.out").read_text(errors="replace").strip().splitlines()
            raise NoSlurm(f"{name} did not come up: {(said or ['it said nothing'])[-1]}")
        time.sleep(0.2)


def _down(made: Cluster) -> None:
    """End all jobs, then the daemons."""
    for name in [name for name in made.processes if name in NODES]:
        made.fail(name)
    for process in made.processes.values():
        process.kill()
        process.wait()


def _of(node: str, daemon: int) -> list[int]:
    """Return a node's daemon, the processes that hold its jobs (they outlive it) and those of the jobs."""
    told = f"SLURMD_NODENAME={node}"
    found = [daemon]
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if told in (entry / "environ").read_bytes().decode(errors="replace").split("\0"):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if Path("/proc", parent, "cmdline").read_bytes().startswith(b"slurmstepd"):
                    found.append(int(parent))
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    try:
        with cluster(Path(sys.argv[1])) as up:
            print(f"export SLURM_CONF={up.folder}/slurm.conf", flush=True)
            signal.pause()
    except NoSlurm as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass
