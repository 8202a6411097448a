"""The small records of the run of configs/literature.yaml, and its tables made again from them.

`docs/records/literature` holds the tidy files of two scenarios of that run (xz) and the reports of its
corpora: everything that its tables are made of. Run `python benchmarks/literature_tables.py --out DIR` to
make them again; `--save RESULTS` writes the records of a finished run instead.
"""

import argparse
import lzma
import shutil
from pathlib import Path

SCENARIOS = {"pretrain": "pretrain", "transfer": "transfer"}
UNSEEN = ("pretrain",)
CORPORA = ("slim7", "pile_new")
HERE = Path(__file__).resolve().parents[1] / "docs" / "records" / "literature"


def save(results: Path, into: Path = HERE) -> None:
    """Keep what the tables of both scenarios need of a finished run."""
    from chameleon.reporting.records.tidy import COLUMNS

    into.mkdir(parents=True, exist_ok=True)
    for stem in COLUMNS:
        header, *rows = (results / f"{stem}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [row for row in rows if row.split(",", 1)[0] in SCENARIOS]
        packed = lzma.compress("".join([header, *kept]).encode(), preset=9)
        (into / f"{stem}.csv.xz").write_bytes(packed)
    for corpus in CORPORA:
        folder = into / "corpora" / corpus
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / "corpora" / corpus / "report.json", folder / "report.json")


def unpack(out: Path, of: Path = HERE) -> None:
    """Lay the records out as a results folder."""
    out.mkdir(parents=True, exist_ok=True)
    for packed in sorted(of.glob("*.csv.xz")):
        (out / packed.name.removesuffix(".xz")).write_bytes(lzma.decompress(packed.read_bytes()))
    shutil.copytree(of / "corpora", out / "corpora", dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/literature"), help="folder for the tables")
    parser.add_argument("--save", type=Path, metavar="RESULTS", help="folder of a finished run to keep")
    args = parser.parse_args()
    if args.save is not None:
        save(args.save)
        return
    from chameleon.reporting.figures import make_figures
    from chameleon.reporting.tables import make_tables

    unpack(args.out)
    make_tables(args.out, args.out / "tables", SCENARIOS, UNSEEN)
    make_figures(args.out, args.out / "figures", SCENARIOS)
    print(f"{args.out}: tables and figures")


if __name__ == "__main__":
    main()
