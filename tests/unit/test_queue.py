"""The plan on a cluster: the longest chain, waits, and preemptions against what they cost by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from chameleon.pricing.job import Job
from chameleon.pricing.queue import critical_path, simulate
from chameleon.pricing.schedule import LIMIT, LOOK, Queue, makespan


def job(name, *needs, stage="evaluate", gpus=0):
    return Job(name, stage, needs=needs, gpus=gpus)


DIAMOND = [job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")]


def test_the_longest_chain_by_hand():
    path = critical_path(DIAMOND, [1, 5, 2, 1])
    assert [(j.name, s) for j, s in path] == [("a", 1), ("b", 5), ("d", 1)]
    assert [j.name for j, _ in critical_path([job("x"), job("y")], [1, 2])] == ["y"]


@pytest.mark.parametrize("seed", range(5))
def test_no_number_of_machines_is_faster_than_the_longest_chain(seed):
    rng = np.random.default_rng(seed)
    jobs = [job(f"j{i}", *(f"j{k}" for k in range(i) if rng.random() < 0.2)) for i in range(30)]
    durations = rng.exponential(1, 30).tolist()
    longest = sum(s for _, s in critical_path(jobs, durations))
    assert makespan(jobs, durations, 1000) == pytest.approx(longest)
    assert makespan(jobs, durations, 2) >= longest


def test_every_job_of_a_chain_waits_in_the_queue():
    assert makespan(DIAMOND, [1, 1, 1, 1], 8, queue=Queue(wait=10)) == 33
    assert makespan([job(f"j{i}") for i in range(4)], [5] * 4, 2, queue=Queue(wait=10)) == 20, (
        "all wait at once"
    )
    assert simulate(DIAMOND, [1] * 4, 8, 0, Queue(wait=10)) == (33, 33, 33)


def test_a_waiting_job_holds_no_machine():
    jobs = [job("long", gpus=1), job("first"), job("second", "first", gpus=1)]
    assert makespan(jobs, [12, 1, 5], 8, devices=1, queue=Queue(wait=10)) == 27


def test_a_run_that_saves_its_state_loses_half_an_interval_a_preemption():
    """An hour between preemptions and states of 600 s: 300 s lost for 3600 done, on average."""
    run, total = job("run", stage="base"), 3600.0 * 200
    middle, low, high = simulate([run], [total], 1, 0, Queue(preempted=1.0, saved=600.0))
    assert 1.07 < middle / total < 1.11
    assert total < low < middle < high


def test_a_job_without_states_starts_anew():
    """The mean time to a success of length d between failures of rate r is (e^(rd) - 1) / r."""
    found = [simulate([job("test")], [3600.0], 1, 0, Queue(preempted=1.0), seed)[0] for seed in range(40)]
    runs = [
        simulate([job("run", stage="base")], [3600.0], 1, 0, Queue(preempted=1.0), s)[0] for s in range(40)
    ]
    # Medians of twenty lie below the mean of a skewed distribution.
    assert 3600 * 1.1 < np.mean(found) < 3600 * (np.e - 1)
    assert np.mean(runs) < np.mean(found)


def test_the_same_seed_makes_the_same_days():
    queue = Queue(60.0, 0.5)
    first, again, other = (simulate(DIAMOND, [9999] * 4, 2, 0, queue, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_snakemake_sees_that_a_job_is_done_when_it_looks():
    """After 10 s, then 20, 30 and so on longer; 10 again after a look that found one."""
    queue = Queue(look=10)
    assert makespan([job("a")], [9], 1, queue=queue) == 10
    assert makespan([job("a")], [11], 1, queue=queue) == 30
    assert makespan([job("a"), job("b", "a")], [11, 3], 1, queue=queue) == 40
    assert makespan([job("a")], [10**6], 1, queue=queue) < 10**6 + 180


def test_a_job_that_runs_where_snakemake_does_is_seen_at_once():
    jobs = [replace(job("fetch"), here=True), job("a", "fetch"), replace(job("report", "a"), here=True)]
    assert makespan(jobs, [4, 3, 7], 1, queue=Queue(wait=2, look=10)) == 10 + 7
    assert simulate(jobs, [4, 3, 7], 1, 0, Queue(wait=2, start=100))[0] == 100 + 4 + 2 + 103 + 7


def test_so_many_jobs_are_in_the_queue_at_once():
    """Four that wait 10 s each: two by two where two may be sent, and in the order in which they were."""
    jobs = [job(f"j{i}") for i in range(4)]
    assert makespan(jobs, [1] * 4, 8, queue=Queue(wait=10, limit=2)) == 22
    late = [job("a"), job("b"), job("c"), job("p", stage="proxy")]
    sent = [job("first"), *(replace(j, needs=("first",)) for j in late)]
    assert makespan(sent, [1, 5, 5, 5, 1], 1, queue=Queue(limit=2)) == 17


def test_a_start_on_a_node_is_paid_by_every_stretch():
    run = job("run", stage="base")
    assert simulate([run], [100], 1, 0, Queue(start=20))[0] == 20 + 120
    often = Queue(preempted=1.0, saved=600.0)
    slow, quick = (simulate([run], [3600.0 * 200], 1, 0, replace(often, start=s))[0] for s in (300, 0))
    assert 1.05 < slow / quick < 1.2


def test_what_is_said_of_the_profile_is_in_it():
    file = Path(__file__).parents[2] / "profiles" / "slurm" / "profile.yaml"
    profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert profile["jobs"] == LIMIT
    assert profile["slurm-init-seconds-before-status-checks"] == LOOK
