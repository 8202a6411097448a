"""The parts of `make test-slurm`: a SLURM that comes and goes, nodes that die, jobs found in mid-training."""

import os
import subprocess
import sys
from pathlib import Path

import cluster as slurm_cluster
import foretold
import pytest
import through_slurm as slurm_run
from cluster import Cluster, NoSlurm, cluster


def installed() -> bool:
    try:
        slurm_cluster.check()
    except NoSlurm:
        return False
    return True


@pytest.mark.skipif(not installed(), reason="needs slurm-wlm, munge and root")
def test_a_cluster_comes_up_runs_a_job_and_leaves_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path / "slurm") as up:
        where = up.call("srun", "--partition=gpu", "--gpus=1", "printenv", "SLURMD_NODENAME").strip()
        assert where in ("n2", "n3")
        daemons = dict(up.processes)
        assert set(daemons) == {"munged", "slurmctld", *slurm_cluster.NODES}
    assert all(process.poll() is not None for process in daemons.values())


def test_what_is_missing_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSlurm, match="not installed: munged, slurmctld, slurmd .Debian"):
        slurm_cluster.check()
    for name in slurm_cluster.DAEMONS:
        (tmp_path / name).write_text(
            "#!/bin/sh\necho first >&2\necho no luck >&2\nexit 1\n", encoding="utf-8"
        )
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoSlurm, match="must be root"):
        slurm_cluster.check()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoSlurm, match="^munged did not come up: no luck$"), cluster(tmp_path / "slurm"):
        pytest.fail("it came up")


def test_a_node_dies_with_what_runs_on_it_and_nothing_else(tmp_path: Path) -> None:
    def sleeps(node: str) -> "subprocess.Popen[bytes]":
        env = {**os.environ, "SLURMD_NODENAME": node}
        ready = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
        process = subprocess.Popen(ready, env=env, stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        return process

    daemon, job, another = sleeps("none"), sleeps("n2"), sleeps("n22")
    try:
        Cluster(tmp_path, {"n2": daemon}).fail("n2")
        assert daemon.poll() == job.wait(5) == -9 and another.poll() is None
    finally:
        for process in (daemon, job, another):
            process.kill()
            process.communicate()


def test_jobs_in_mid_training_are_found_by_their_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = slurm_run.Run(tmp_path, {}, until=0)
    for place in (
        "runs/pretrain/uniform/seed0",
        "runs/pretrain/doge/seed0/extra/proxy",
        "proxies/pretrain/seed0",
    ):
        (run.results / place / "states").mkdir(parents=True)
    queue = [
        ["1", "RUNNING", "n2", "rule_train_wildcards_pretrain_uniform_0"],
        ["2", "RUNNING", "n3", "rule_extra_wildcards_pretrain_doge_0_proxy"],
        ["3", "PENDING", "", "rule_proxy_wildcards_pretrain_0"],
    ]
    monkeypatch.setattr(slurm_run, "jobs", lambda up: queue)
    up = Cluster(tmp_path)
    assert slurm_run.training(run, up, set()) is None
    for folder in run.results.rglob("states"):
        (folder / "step20").touch()
    first = slurm_run.training(run, up, {queue[0][3]})
    assert first == ("2", "n3", queue[1][3])
    assert slurm_run.training(run, up, {queue[0][3], queue[1][3]}) is None


def test_where_a_job_went_on_is_read_from_its_log(tmp_path: Path) -> None:
    run = slurm_run.Run(tmp_path, {}, until=0)
    run.process = subprocess.Popen(["true"])
    run.process.wait()
    log = run.results / "logs" / "train" / "pretrain" / "uniform" / "seed0.log"
    log.parent.mkdir(parents=True)
    log.write_text("train: goes on at step 40\n", encoding="utf-8")
    assert slurm_run.went_on(run, "rule_train_wildcards_pretrain_uniform_0") == "goes on at step 40"
    with pytest.raises(slurm_run.Failed, match="Snakemake ended before rule_train_wildcards_pretrain_doge_0"):
        slurm_run.went_on(run, "rule_train_wildcards_pretrain_doge_0")


def test_how_long_jobs_were_on_their_nodes_is_read_from_what_slurm_and_snakemake_say(tmp_path: Path) -> None:
    day = "2026-01-01T00"
    line = f"JobId={{}} JobState=COMPLETED StartTime={day}:00:{{}} EndTime={day}:01:00 SubmitTime={day}:00:00"
    jobs = [line.format(job, start) for job, start in ((7, "10"), (8, "20"), (9, "40"))]
    (tmp_path / "jobs.txt").write_text("\n".join(jobs) + "\n", encoding="utf-8")
    said = [
        "Job 6 has been submitted with SLURM jobid 7 (log: /w/.snakemake/slurm_logs/rule_tokenizer/7.log).",
        "Job 3 has been submitted with SLURM jobid 8 (log: /w/.snakemake/slurm_logs/rule_train/a_b_0/8.log).",
        "Job 4 has been submitted with SLURM jobid 9 (log: /w/.snakemake/slurm_logs/rule_train/a_c_0/9.log).",
    ]
    (tmp_path / "said.log").write_text("\n".join(said), encoding="utf-8")
    up, run = Cluster(tmp_path), slurm_run.Run(tmp_path, {}, until=0)
    assert foretold.on_nodes(run, up) == {"tokenizer": [50.0], "base": [40.0, 20.0]}
    assert (foretold.over(up)["7"]["start"] - foretold.over(up)["7"]["submitted"]).total_seconds() == 10
