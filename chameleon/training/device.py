"""Where a job runs: the device, its threads, and the allocator's habits."""

import torch

from chameleon.core.provenance import cpu_name


def pick_device() -> torch.device:
    """Return where models run: on a GPU if one is in sight."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def setup_torch(threads: int) -> str:
    """Prepare torch for a job of `threads` threads and return the device's name for the record.

    A job on one CPU thread adds in one order anyway, and asking torch for it would import its compiler: a
    second of each of hundreds of small jobs.
    """
    from torch.utils import deterministic

    keep_pages()
    torch.set_num_threads(max(1, threads))
    # Nothing here reads memory before it is written; filling it first would be 2 % of a step.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if threads > 1 or torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else cpu_name()


def keep_pages() -> None:
    """Tell glibc's allocator to keep large freed blocks.

    Training frees and asks again for the same large temporaries every step; by default glibc gives them
    back to the kernel each time, at the price of page faults (benchmarks/jobs_and_threads.py).
    """
    import ctypes

    m_trim_threshold, m_mmap_max = -1, -4
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: nothing to tune
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, 2**31 - 1)
