"""Environments of the trainers' own libraries, one each under .cache/exports, at pinned versions.

Each sees the packages of the suite's environment after its own (torch, numpy, datasets ...), so that only
what differs is installed, and without what a trainer needs for its clouds or pictures.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

BOTO = ["boto3==1.44.8", "botocore==1.44.8", "jmespath==1.1.0", "s3transfer==0.19.3"]
#: Trainer's library to what is installed, all of it named (pip's --no-deps).
PINS: dict[str, list[str]] = {
    "megatron-core": ["megatron-core==0.16.1"],
    "nemo-automodel": ["nemo-automodel==0.7.0", "torchdata==0.11.0"],
    "ai2-olmo-core": [
        "ai2-olmo-core==3.0.0", "bettermap==1.3.1", "cached-path==1.8.10", "dataclass-extensions==0.5.0",
        "importlib-resources==7.1.0", "google-api-core==2.44.0", "google-auth==2.63.0",
        "google-cloud-core==2.8.0",
        "google-cloud-storage==3.17.1", "google-crc32c==1.9.0", "google-resumable-media==2.11.0",
        "googleapis-common-protos==1.76.0", "opentelemetry-api==1.45.2", "proto-plus==1.29.0",
        "protobuf==7.36.2", "pyasn1==0.6.5", "pyasn1-modules==0.4.2", "cryptography==50.0.2", "cffi==2.1.1",
        "pycparser==3.12", *BOTO,
    ],
    # numpy: streaming asks for one below 2.2.
    "mosaicml-streaming": [
        "mosaicml-streaming==0.13.0", "numpy==2.1.3", "brotli==1.2.1", "catalogue==2.0.10", "cramjam==2.14.0",
        "python-snappy==0.7.3", "zstd==1.5.7.2", *BOTO,
    ],
    "litdata": [
        "litdata==0.2.76", "lightning-utilities==0.15.3", "obstore==0.12.1", "tifffile==2026.3.3", *BOTO,
    ],
    "torchtitan": [
        "torchtitan==0.3.0", "torchdata==0.11.0", "tyro==1.0.13", "docstring-parser==0.18.0",
        "spmd_types==0.2.3",
    ],
    "grain": [
        "grain==0.2.18", "array-record==0.8.6", "etils==1.15.0", "portpicker==1.6.0", "protobuf==7.36.2",
    ],
    "trl": ["trl==1.16.0"],
    "llamafactory": ["llamafactory==0.9.5", "omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3"],
    "datasets": [],
}  # fmt: skip
#: Packages that a library imports on its way and that its mixing never calls. Their wheels need CUDA; an
#: empty stand-in is put in their place.
STAND_INS: dict[str, dict[str, str]] = {
    "mosaicml-streaming": {
        "torchvision/__init__.py": "",
        "torchvision/datasets.py": "class VisionDataset: ...\n",
        "torchvision/transforms/__init__.py": "",
        "torchvision/transforms/functional.py": "to_tensor = None\n",
    },
    "llamafactory": {"torchaudio/__init__.py": ""},
}


def python_of(name: str, root: Path) -> Path:
    """Return the Python of a library's environment, made now if it is not there or its pins have changed."""
    folder = root / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    told = json.dumps([PINS[name], STAND_INS.get(name), sys.version, sys.prefix])
    digest = hashlib.sha256(told.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    # A .pth file's folders come after the environment's own packages.
    (packages / "suite.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if PINS[name]:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps"]
        subprocess.run([*pip, "--disable-pip-version-check", *PINS[name]], check=True)
    for file, text in STAND_INS.get(name, {}).items():
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text(text)
    stamp.write_text(digest)
    return python
