"""Streams of ready token blocks: Mosaic Streaming, llm-foundry, litgpt (litdata), torchtitan.

A sample is a block of fixed length, packed before the draw, so a weight is a share of tokens. Where the
samples of your shards are whole documents, take `--to datasets`, which counts documents.
"""

import ast
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.errors import UserError, shown
from chameleon.exports.documents import source
from chameleon.exports.plan import Format, Plan
from chameleon.exports.texts import comments, plain, yaml_text


def _streams(plan: Plan) -> dict[str, Any]:
    """Return the streams by name, each a remote one or a local folder."""
    return {
        e.name: {"remote" if "://" in e.path else "local": e.path, "proportion": e.weight}
        for e in plan.entries
    }


def _streaming(plan: Plan) -> dict[str, str]:
    lines = [
        *plan.notes,
        "StreamingDataset(streams=[Stream(**s) for s in yaml.safe_load(file)['streams'].values()])",
    ]
    return {"streams.yaml": comments(lines) + yaml_text({"streams": _streams(plan)})}


def _foundry(plan: Plan) -> dict[str, str]:
    loader = {"train_loader": {"name": "text", "dataset": {"streams": _streams(plan), "shuffle": True}}}
    return {"train_loader.yaml": comments(plan.notes) + yaml_text(loader)}


def _proportions(path: Path, *keys: str) -> list[list[tuple[str, float]]]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: {'.'.join(keys)}: {shown(found)} is not a mapping of streams")
    for name, stream in found.items():
        if not isinstance(stream.get("proportion"), float) or {"repeat", "choose"} & set(stream):
            raise UserError(f"{path}: {'.'.join(keys)}.{name}: takes proportion, not repeat or choose")
    return [[(name, stream["proportion"]) for name, stream in found.items()]]


LITGPT = '''
def dataset(block_size, shuffle=True, drop_last=True, seed=0, **options):
    """Return the mixture of blocks of so many tokens (litgpt: max_seq_length + 1); ends with a source."""
    from litdata import CombinedStreamingDataset, StreamingDataset, TokensLoader

    options = {"shuffle": shuffle, "drop_last": drop_last, **options}
    # A loader each: it keeps the chunks of the data set that it was given to.
    loaders = [TokensLoader(block_size=block_size) for _ in SOURCES]
    pairs = zip(SOURCES, loaders, strict=True)
    parts = [StreamingDataset(input_dir=path, item_loader=loader, **options) for (path, _), loader in pairs]
    weights = [weight for _, weight in SOURCES]
    return CombinedStreamingDataset(datasets=parts, seed=seed, weights=weights, iterate_over_all=False)
'''

TORCHTITAN = '''

def loader(infinite=True, seed=0, text="text"):
    """Return the data loader's config; each source is registered under its name. `text`: the field of it."""
    from datasets import load_dataset
    from torchtitan.hf_datasets import DatasetConfig, text_datasets

    sources = []
    for name, options, weight in SOURCES:
        text_datasets.DATASETS[name.lower()] = DatasetConfig(
            path=options["path"],
            loader=lambda path, options=options: load_dataset(**options, split="train", streaming=True),
            sample_processor=lambda sample: sample[text],
        )
        sources.append(text_datasets.HFDataSource(dataset=name, infinite=infinite, weight=weight))
    return text_datasets.InterleavedHuggingFaceTextDataLoader.Config(sources=sources, seed=seed)
'''


def _script(plan: Plan, rows: list[str], code: str) -> dict[str, str]:
    """Return a module: the notes, the sources, and what makes the trainer's mixture of them."""
    return {"mixture.py": comments(plan.notes) + "\nSOURCES = [\n" + "".join(rows) + "]\n" + code}


def _litgpt(plan: Plan) -> dict[str, str]:
    return _script(plan, [f"    ({e.path!r}, {plain(e.weight)}),\n" for e in plan.entries], "\n" + LITGPT)


def _torchtitan(plan: Plan) -> dict[str, str]:
    rows = [f"    ({e.slug!r}, {source(e)!r}, {plain(e.weight)}),\n" for e in plan.entries]
    return _script(plan, rows, TORCHTITAN)


def _read_script(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "mixture.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOURCES"
        )
        return [[(str(row[0]), float(row[-1])) for row in found]]
    except (SyntaxError, StopIteration, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{path}: has no list SOURCES of names and weights: {error}") from error


FORMATS = (
    Format(
        "streaming",
        "tokens",
        ("streams.yaml",),
        _streaming,
        lambda folder: _proportions(folder / "streams.yaml", "streams"),
        "StreamingDataset(streams=[Stream(**s) for s in "
        "yaml.safe_load(open('{out}/streams.yaml'))['streams'].values()])",
        one_path=True,
        draws="shares",
        notes=("a proportion is a share of samples: of tokens where every sample is a block of one length",),
    ),
    Format(
        "llm-foundry",
        "tokens",
        ("train_loader.yaml",),
        _foundry,
        lambda folder: _proportions(folder / "train_loader.yaml", "train_loader", "dataset", "streams"),
        "put the `train_loader` of {out}/train_loader.yaml into the config",
        one_path=True,
        draws="shares",
    ),
    Format(
        "litgpt",
        "tokens",
        ("mixture.py",),
        _litgpt,
        _read_script,
        "from mixture import dataset, in a LitData module's train_dataloader ({out}/mixture.py)",
        key="path",
        one_path=True,
        notes=(
            "a sample is a block of TokensLoader; were it a document, these would be shares of documents",
        ),
    ),
    Format(
        "torchtitan",
        "tokens",
        ("mixture.py",),
        _torchtitan,
        _read_script,
        "from mixture import loader ({out}/mixture.py); loader() stands for the data loader's config",
        key="slug",
        notes=("torchtitan packs each source into rows before it draws: rows have one length",),
    ),
)
