"""`weigh`, `add`, `remove`, `compare`, `bench`: the commands for a user's own text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from chameleon.cli.commands import Command

if TYPE_CHECKING:
    from chameleon.mixture import Mixture


def setting(text: str) -> float | dict[str, float]:
    """Return a number, or the mapping of `key=number,...`."""
    if "=" not in text:
        return float(text)
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key.strip(): int(v) if v.strip().isdigit() else float(v) for key, _, v in pairs}


_FOLDERS = (
    "a folder with a folder per domain (.jsonl, .json, .parquet, .csv, .tsv, .txt; compressed or not), or "
    "one path per domain; also token shards (.npy, or Megatron's .bin and .idx)"
)
_MODEL = "smollm2 (default) or minilm, from pinned packages; a folder; a .gguf file; a name on the hub"
_MODE = "whether common domains gain (pretrain, the default) or distinctive ones"
_RIDGE = (
    "λ: a number, or of_trace=0.2 (kλ as that share of the affinity's trace; whatever a model's scale); "
    "default 10"
)
_TEMPERATURE = "T: a number, or at=5,of=7 (in proportion to the number of domains); default: the mode's own"
_UNTIL = "half-width that every interval shall have: windows are added until they do (at most 1024)"
_Setting = float | Mapping[str, float]
_Field = Annotated[str, "where rows hold their text (dotted path; default text)"]
_Mix = Annotated[Path, "folder that `weigh` wrote"]
_New = Annotated[Path | None, "folder for the new mixture (default: the same)"]


def weigh(
    data: Annotated[Sequence[str], _FOLDERS] = (),
    *,
    dataset: Annotated[str | None, "in place of folders: a data set of the Hugging Face hub"] = None,
    domain_field: Annotated[str | None, "where its rows say their domain"] = None,
    split: Annotated[str, "its split (default train)"] = "train",
    name: Annotated[str | None, "its configuration"] = None,
    revision: Annotated[str | None, "its revision: pin it"] = None,
    text_field: _Field = "text",
    model: Annotated[str, _MODEL] = "smollm2",
    layer: Annotated[int | None, "hidden state that embeds (default: the middle one)"] = None,
    precision: Annotated[Literal["fp32", "bf16"], "of the model (default fp32)"] = "fp32",
    tokenizer: Annotated[str | None, "that made token shards (default: the model's own)"] = None,
    mode: Annotated[Literal["pretrain", "finetune"], _MODE] = "pretrain",
    ridge: Annotated[_Setting, _RIDGE, {"type": setting}] = 10.0,
    temperature: Annotated[_Setting | None, _TEMPERATURE, {"type": setting}] = None,
    windows: Annotated[int, "windows of a domain, at first (default 64)"] = 64,
    window_length: Annotated[int, "tokens of a window (default 128)"] = 128,
    until: Annotated[float | None, _UNTIL] = None,
    confidence: Annotated[float, "of the intervals (default 0.9)"] = 0.9,
    seed: Annotated[int, "of the windows (default 0)"] = 0,
    budget: Annotated[float | None, "tokens of the run: epochs per domain are shown"] = None,
    out: Annotated[Path, "folder to write (default mix)"] = Path("mix"),
) -> None:
    """Weigh domains of your own text: how much of each to train on, and how sure that is."""
    from chameleon.core.errors import UserError
    from chameleon.weighing import api

    rows = None
    if dataset is not None:
        if domain_field is None:
            raise UserError("--dataset needs --domain-field: where a row says its domain")
        more = {"name": name, "revision": revision}
        rows = {"path": dataset, "domain_field": domain_field, "split": split}
        rows |= {key: value for key, value in more.items() if value is not None}
    mixture = api.weigh(
        data or None, out=out, dataset=rows, mode=mode, ridge=ridge, temperature=temperature, model=model,
        layer=layer, windows=windows, window_length=window_length, until=until, confidence=confidence,
        seed=seed, precision=precision, text_field=text_field, tokenizer=tokenizer, budget=budget,
    )  # fmt: skip
    _say(mixture, out, budget)


def add(
    mix: _Mix, data: Annotated[Sequence[str], _FOLDERS], *, text_field: _Field = "text", out: _New = None
) -> None:
    """Add domains to a mixture: only they are embedded."""
    from chameleon.weighing import api

    out = out or mix
    _say(api.add(mix, data, out=out, text_field=text_field), out, None)


def remove(mix: _Mix, domains: Annotated[Sequence[str], "domains to leave out"], *, out: _New = None) -> None:
    """Leave domains out of a mixture: nothing is embedded."""
    from chameleon.weighing import api

    out = out or mix
    _say(api.remove(mix, domains, out=out), out, None)


def compare(
    first: Annotated[Path, "a mix.json, its folder, a weights file or {domain: weight}"],
    second: Annotated[Path, "another"],
) -> None:
    """Show two mixtures side by side."""
    from chameleon.mixture import Mixture
    from chameleon.mixture.compare import compare as work

    found = work(Mixture.load(first), Mixture.load(second))
    names = [path.parent.name if path.name == "mix.json" else path.stem for path in (first, second)]
    print("\n".join(found.lines(*names)))


def bench(
    *,
    data: Annotated[Path, "folder with a folder of text per domain"],
    mix: Annotated[Sequence[Path], "mixtures of these domains"] = (),
    text_field: _Field = "text",
    out: Annotated[Path, "config to write (default mine.yaml)"] = Path("mine.yaml"),
) -> None:
    """Write a config that tests mixtures against uniform and every method on your own text."""
    from chameleon.weighing.bench import bench as work

    commands = work(data, out, mix, text_field)
    print(f"{out} is written. What it will cost, and the run:\n")
    print("\n".join(f"  {command}" for command in commands))


def _say(mixture: "Mixture", out: Path, budget: float | None) -> None:
    """Print a mixture with its intervals, warnings and what lies where."""
    from chameleon.mixture.epochs import epochs

    weights = mixture.weights
    times = epochs(weights, mixture.about, budget) if budget else {}
    wide = max(6, *(len(name) for name in weights))
    level = f"{(mixture.how or {}).get('confidence', 0.9):.0%} interval"
    print(
        f"{'domain':{wide}}  weight  {level:15}  over documents   tokens  documents{'  epochs' * bool(times)}"
    )
    for name, weight in weights.items():
        d = mixture.domain(name)
        ends = [_ends(d.low, d.high), _ends(d.low_documents, d.high_documents)]
        size = [f"{d.tokens:8.2g}" if d.tokens is not None else f"{'-':>8}"]
        size.append(f"{d.documents:10d}" if d.documents is not None else f"{'-':>10}")
        if times:
            size.append(f"{times[name]:7.2f}" if times[name] is not None else f"{'-':>7}")
        print(f"{name:{wide}}  {weight:6.3f}  {ends[0]:15}  {ends[1]:15} {' '.join(size)}")
    for warning in mixture.warnings:
        print(f"warning: {warning}")
    how = mixture.how or {}
    settings = f"λ = {how['ridge_used']:.4g}, T = {how['temperature_used']:.4g}, {how['mode']}" if how else ""
    print(f"{settings}; written: {out}/mix.json, mix.html (sliders for λ and T), windows.safetensors")


def _ends(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


COMMANDS = {
    "weigh": Command(weigh, "chameleon weigh data/mine --until 0.02 --out mix"),
    "add": Command(add, "chameleon add mix data/laws"),
    "remove": Command(remove, "chameleon remove mix laws"),
    "compare": Command(compare, "chameleon compare mix other/mix.json"),
    "bench": Command(bench, "chameleon bench --data data/mine --mix mix --out mine.yaml"),
}
