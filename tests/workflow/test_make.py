"""The front door: any name of a config, any home, and one line for a file that Snakemake cannot be given."""

import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT, Checkout, make_checkout

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
ODD = "my $HOME; touch ran; config (1).yaml"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the Makefile, in a folder whose name has a space, and a config whose name is odd."""
    root = tmp_path_factory.mktemp("make") / "my clone"
    root.mkdir()
    made = make_checkout(root)
    shutil.copy2(ROOT / "Makefile", root / "Makefile")
    smoke = (ROOT / "configs" / "smoke.yaml").read_text(encoding="utf-8")
    (root / ODD).write_text(smoke.replace("results/smoke", "results/odd"), encoding="utf-8")
    return made


def reproduce(
    checkout: Checkout, config: str | Path, *given: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Plan everything; the environment is taken as it is."""
    escaped = str(config).replace("$", "$$")
    command = ("make", "-o", ".venv/.installed", "reproduce", f"CONFIG={escaped}", "ARGS=-n", *given)
    # As from a shell, also where make runs these tests.
    return checkout.run(*command, **{"MAKELEVEL": "0", "MAKEFLAGS": "", **env})


def test_a_config_of_any_name_is_read(checkout: Checkout) -> None:
    done = reproduce(checkout, ODD)
    assert "results/odd/metrics.csv" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (checkout.root / "ran").exists()


def test_a_home_that_cannot_be_written_is_no_hindrance(checkout: Checkout) -> None:
    done = reproduce(checkout, "configs/smoke.yaml", HOME="/proc/none", XDG_CACHE_HOME="")
    assert "results/smoke/metrics.csv" in done.stdout + done.stderr, done.stdout + done.stderr
    assert (checkout.root / ".cache" / "home").is_dir()


BAD = {
    "not UTF-8": ("caf\u00e9: 1\n".encode("latin-1"), "not UTF-8"),
    "empty": (b"", "is empty"),
    "two documents": (b"seeds: [0]\n---\nseeds: [1]\n", "single document"),
    "code": (b'__use_yte__: true\nseeds:\n  - ?open("ran", "w").write("x")\n', "nothing in a config is run"),
    "a key twice": (b"seeds: [0]\nseeds: [1]\n", "seeds: the key is given twice"),
    "an unknown key": (b"sedes: [0]\n", "'sedes'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_before_snakemake_reads_it(checkout: Checkout, name: str) -> None:
    data, words = BAD[name]
    (checkout.root / "bad.yaml").write_bytes(data)
    done = reproduce(checkout, "bad.yaml")
    assert done.returncode != 0 and "Traceback" not in done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert len(errors) == 1 and errors[0].startswith("error: ") and words in errors[0], done.stderr
    assert "bad.yaml" in errors[0] and not (checkout.root / "ran").exists()
