"""What it costs to save a run's whole state, so that it can go on where it was cut off.

Times one save (tensors, digest, rename). `share` is what saving costs of the training time at the default
interval of 10 minutes; a run that is shorter than that is never saved.
Run: `make bench`, or `python benchmarks/states.py [--rounds N]`.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from chameleon.core.provenance import cpu_name
from chameleon.experiment.load import load_files
from chameleon.training.device import keep_pages
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.recipe import Recipe, optimizers
from chameleon.training.resume.states import Every, States

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = {"82M": 50257}
#: Seconds between two saves by default (`states` of config.yaml).
INTERVAL = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    scales = load_files([ROOT / "config.yaml"]).raw["scales"]
    keep_pages()
    torch.set_num_threads(1)
    print(f"{cpu_name()}; one thread")
    print(f"{'scale':<12} {'parameters':>12} {'state, MB':>10} {'save, s':>9} {'share':>9}")
    for name in ("cpu_proxy", "cpu", "82M"):
        given = scales[name]
        shape = ModelShape(**given["model"], vocab_size=VOCABULARY.get(name, 2048))
        model = Decoder(shape).initialise(0)
        both = optimizers(dict(model.named_parameters()), Recipe(**given["train"]), "fp32")
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        for optimizer in both:
            optimizer.step()
        with tempfile.TemporaryDirectory() as folder:
            states = States(Path(folder) / "states", name, Every(seconds=INTERVAL))
            seconds = []
            for n in range(args.rounds):
                start = time.perf_counter()
                path = states.save(n, {"model": dict(model.named_parameters()),
                                       "optimizers": [o.saved() for o in both]})  # fmt: skip
                seconds.append(time.perf_counter() - start)
            assert path is not None
            size, median = path.stat().st_size / 1e6, statistics.median(seconds)
        share = f"{median / INTERVAL:.4%}"
        print(f"{name:<12} {shape.parameters:>12,} {size:>10.1f} {median:>9.3f} {share:>9}", flush=True)


if __name__ == "__main__":
    main()
