"""A throwaway checkout of the repository in which the workflow tests run Snakemake."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("--configfile", "configs/smoke.yaml")
#: Copied, because tests edit them or Snakemake writes beside them; the rest are links.
COPIED = ("Snakefile", "config.yaml", "configs", "workflow", "envs", "profiles")
LINKED = ("chameleon", "baselines", "tests")


@dataclass(frozen=True)
class Checkout:
    """A folder that Snakemake takes for the repository."""

    root: Path

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; its `python` is ours and imports the checkout's packages."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(self.root), **env},
            capture_output=True,
            text=True,
            timeout=3600,
        )

    def snakemake(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on two cores with the smoke config; `--configfile` in `args` comes on top of it."""
        args = args if "--configfile" in args else (*args, *SMOKE)
        return self.run("snakemake", "--cores", "2", *args, **env)

    def plan(self, *args: str, **env: str) -> dict[str, set[str]]:
        """Return rule -> output files of the jobs that a dry run lists; empty when nothing is to be done."""
        done = self.snakemake("--dry-run", *args, **env)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        jobs: dict[str, set[str]] = {}
        rule = ""
        for line in text.splitlines():
            if match := re.match(r"(?:local)?rule (\w+):", line):
                rule = match[1]
                jobs.setdefault(rule, set())
            elif match := re.match(r"    output: (.*)", line):
                jobs[rule] |= set(match[1].split(", "))
        assert jobs or "Nothing to be done" in text, text
        return jobs

    def overlay(self, text: str) -> tuple[str, ...]:
        """Return the arguments that lay a few lines of config over the smoke config."""
        path = self.root / "overlay.yaml"
        path.write_text(text, encoding="utf-8")
        return (*SMOKE, path.name)


def make_checkout(root: Path) -> Checkout:
    """Lay out a checkout in an empty folder."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copy2(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    return Checkout(root)
