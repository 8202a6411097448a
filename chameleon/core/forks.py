"""A process that has loaded what jobs need, and of which each job is a fork: a job then starts at once.

Loading torch takes two seconds, of hundreds of jobs that work for some (benchmarks/startup.py). The first
job of a run of Snakemake on this machine starts the keeper, which loads what it is told to and forks itself
for every job that asks. It ends with Snakemake; its forks end with it, and with the process that asked.

A job's process asks, passes its files on, sends every signal on, and ends as the fork ends. Forks serve jobs
of the very environment, Python and folder that the keeper was started in, and run the package as it was
then. Where there is no keeper, or it must not fork (other threads, a GPU's library), a job does its work
itself. `CHAMELEON_KEEPER=` (empty) in the environment has all of them do so. Linux only.
"""

import ctypes
import hashlib
import json
import os
import secrets
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import traceback
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

#: Names the run to its jobs: Snakemake's process and a random word.
NAME = "CHAMELEON_KEEPER"
#: What shells change on their way to a job.
_VOLATILE = {"PWD", "OLDPWD", "SHLVL", "_"}
#: What a job's process sends on to its fork. The keeper outlives them: jobs save and stop.
_SENT_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_PDEATHSIG = 1  # of Linux's prctl


def announce() -> None:
    """Let the jobs that this process starts have a keeper."""
    if sys.platform == "linux":
        os.environ.setdefault(NAME, f"{os.getpid()}.{secrets.token_hex(8)}")


def ask(argv: Sequence[str], start: Sequence[str]) -> int | None:
    """Have the keeper run a command in a fork; return its exit code, or None: nobody did.

    Args:
        argv: what the fork's `main` is called with.
        start: arguments of Python that start a keeper, where there is none yet.
    """
    if not os.environ.get(NAME):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(_address())
        except OSError:
            # For the jobs to come. It holds none of this job's files open.
            nothing = subprocess.DEVNULL
            subprocess.Popen([sys.executable, *start], stdin=nothing, stdout=nothing, stderr=nothing)
            return None
        try:
            message = json.dumps(list(argv)).encode()
            if not _ours(connection):
                return None
            socket.send_fds(connection, [struct.pack("q", len(message))], [0, 1, 2])
            connection.sendall(message)
            fork = _number(connection)
        except OSError:
            fork = None
        if fork is None:
            return None
        _send_on(fork, until=connection)
        code = _number(connection)
    if code is None:
        print("error: the process that this job was forked from was ended, and so the job", file=sys.stderr)
        return 1
    if code < 0:  # ended by a signal: so is this process
        if -code in _SENT_ON:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def keep(main: Callable[[Sequence[str]], int], load: Callable[[], bool]) -> None:
    """Be the keeper until the process that announced it ends; do nothing where there is one already.

    Args:
        main: what a fork runs; returns its exit code.
        load: loads what jobs need; returns whether forks can use it. If not, whoever asks is told so.
    """
    for number in _SENT_ON:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as waits:
        try:
            listener.bind(_address())
            run = os.pidfd_open(int(os.environ[NAME].partition(".")[0]))
        except OSError:
            return
        listener.listen(128)  # jobs that ask while it loads wait no longer than if they loaded it
        able = load() and len(os.listdir("/proc/self/task")) == 1
        waits.register(listener, selectors.EVENT_READ)
        waits.register(run, selectors.EVENT_READ)
        #: What is waited for -> (a fork, its pidfd, the connection of who asked).
        forks: dict[int, tuple[int, int, socket.socket]] = {}
        while forks or run in waits.get_map():
            # One at a time: files that are closed on the way lend their numbers to new ones.
            ready = waits.select()[0][0].fd
            if ready == run:
                waits.unregister(run)
                waits.unregister(listener)
                listener.close()
            elif ready in forks:
                fork, handle, connection = forks[ready]
                if ready != handle:  # who asked is gone
                    _send(fork, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
                for waited in (handle, connection.fileno()):
                    waits.unregister(waited)
                    del forks[waited]
                os.close(handle)
                with suppress(OSError), connection:
                    connection.sendall(struct.pack("q", code))
            else:
                connection, _ = listener.accept()
                new = _forked(connection, main, [*forks, listener.fileno(), run]) if able else None
                if new is None:
                    connection.close()
                    continue
                handle = os.pidfd_open(new)
                for waited in (handle, connection.fileno()):
                    forks[waited] = new, handle, connection
                    waits.register(waited, selectors.EVENT_READ)


def _forked(connection: socket.socket, main: Callable[[Sequence[str]], int], closed: list[int]) -> int | None:
    """Fork for who asks; return the fork's process id, or None for a stranger or one that is gone."""
    files: list[int] = []
    try:
        if not _ours(connection):
            return None
        size, files, _, _ = socket.recv_fds(connection, 8, 3)
        message = _received(connection, struct.unpack("q", size)[0])
        if len(files) != 3 or message is None:
            return None
        keeper, fork = os.getpid(), os.fork()
        if fork == 0:
            _be(keeper, json.loads(message), main, files, [*closed, connection.fileno()])
        connection.sendall(struct.pack("q", fork))
        return fork
    except (OSError, struct.error):
        return None
    finally:
        for file in files:
            os.close(file)


def _be(
    keeper: int, argv: list[str], main: Callable[[Sequence[str]], int], files: list[int], closed: list[int]
) -> NoReturn:
    """Be a fork: run the command as a process of its own would, and end."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        for number in _SENT_ON:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for standard, file in enumerate(files):
            os.dup2(file, standard)
        for file in {*files, *closed}:
            os.close(file)
        del os.environ[NAME]
        sys.argv[1:] = argv
        code = main(argv)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            weakref.finalize._exitfunc()  # type: ignore[attr-defined]  # as in `__main__`
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _address() -> str:
    """Return the keeper's address, a name without a file: one of each run, Python, folder and environment."""
    environment = sorted(pair for pair in os.environ.items() if pair[0] not in _VOLATILE)
    what = json.dumps([sys.executable, os.getcwd(), environment])
    return "\0chameleon-" + hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()


def _ours(connection: socket.socket) -> bool:
    """Return whether the other side is a process of the same user: names without a file are everybody's."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())


def _received(connection: socket.socket, size: int) -> bytes | None:
    """Return so many bytes, or None if the other side is gone before."""
    found = b""
    while len(found) < size:
        if not (part := connection.recv(size - len(found))):
            return None
        found += part
    return found


def _send_on(fork: int, until: socket.socket) -> None:
    """Send every signal that comes on to a fork, until the keeper speaks or is gone."""
    came, woken = socket.socketpair()
    woken.setblocking(False)
    # Python's own handlers wait for a system call to return that may have begun after the signal came.
    signal.set_wakeup_fd(woken.fileno())
    for number in _SENT_ON:
        signal.signal(number, lambda *_: None)
    with came, woken:
        while came in select.select([came, until], [], [])[0]:
            for received in came.recv(64):
                _send(fork, received)
        signal.set_wakeup_fd(-1)


def _number(connection: socket.socket) -> int | None:
    found = _received(connection, 8)
    return None if found is None else int(struct.unpack("q", found)[0])


def _send(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
