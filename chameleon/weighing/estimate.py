"""Domains of text in, a mixture with its uncertainty and its windows' vectors out."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.mixing.parameters import check_number, check_whole
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixture import Domain, Mixture
from chameleon.mixture.settings import Settings, weigh
from chameleon.weighing import kernel, store
from chameleon.weighing.advice import advice, repeated
from chameleon.weighing.embedder import CHARACTERS, Embedder
from chameleon.weighing.intervals import bootstrap, influence, without
from chameleon.weighing.meter import Meter
from chameleon.weighing.models import load
from chameleon.weighing.text import shards, sources
from chameleon.weighing.text.sample import Sampler
from chameleon.weighing.text.texts import Text, texts

#: Windows of a domain that are drawn; most are embedded only where `until` asks for them.
DRAWN = 1024


@dataclass(frozen=True)
class Asked:
    """What decides a mixture beside the text.

    Attributes:
        model: `smollm2`, `minilm`, a folder, a .gguf file or a name on the hub.
        layer: entry of the hidden states; None: the middle one.
        windows: of every domain, at first.
        window_length: tokens of a window.
        until: half-width of the intervals at which windows are enough; None: `windows` are.
        drawn: windows that are drawn, where `until` gives up; the first do not depend on how many are used.
        confidence: of the intervals.
        seed: of the windows and the bootstrap.
        precision: `fp32` or `bf16`.
        text_field: where rows hold their text.
        tokenizer: that made token shards; None: the embedder's own.
        budget: tokens of the run that the mixture is for; None: not known.
        settings: mode, ridge, temperature.
    """

    model: str = "smollm2"
    layer: int | None = None
    windows: int = 64
    window_length: int = 128
    until: float | None = None
    drawn: int = DRAWN
    confidence: float = 0.9
    seed: int = 0
    precision: str = "fp32"
    text_field: str = "text"
    tokenizer: str | None = None
    budget: float | None = None
    settings: Settings = Settings()

    def check(self) -> None:
        """Raise UserError for a value that is none."""
        self.settings.check()
        check_whole("--windows", self.windows, 1)
        if self.windows > self.drawn:
            raise UserError(f"--windows: {self.windows} is more than the {self.drawn} that are drawn")
        check_whole("--window-length", self.window_length, 1)
        if self.until is not None:
            check_number("--until", self.until, above=0)
        if not 0 < self.confidence < 1:
            raise UserError(f"--confidence: {self.confidence!r} is not between 0 and 1")
        if self.budget is not None:
            check_number("--budget", self.budget, above=0)

    def sampler(self, domain: str) -> Sampler:
        """Return the sampler of a domain."""
        return Sampler(domain, self.drawn, self.window_length * CHARACTERS, self.seed)


def embed(
    found: Mapping[str, Text],
    embedder: Embedder,
    asked: Asked,
    have: store.Vectors,
    enough: Callable[[store.Vectors], bool],
) -> store.Vectors:
    """Return the vectors of `have` and of the domains of `found`: windows of these until they are enough.

    Args:
        found: windows of the domains that are to be embedded.
        embedder: what embeds.
        asked: `windows` at first; doubled up to `drawn` where `until` asks.
        have: vectors of other domains.
        enough: tells whether there are.
    """
    made: dict[str, list[np.ndarray]] = {name: [] for name in found}
    have_of, upto = dict.fromkeys(found, 0), asked.windows
    while True:
        windows = {name: text.first(upto) for name, text in found.items()}
        new = {name: ids[have_of[name] :] for name, (ids, _) in windows.items()}
        with Meter("embedding", sum(map(len, new.values())), "windows") as meter:
            for name, ids in new.items():
                if ids:
                    made[name].append(embedder.embed(ids, partial(meter.add, at=name)))
        vectors = {**have, **{n: (np.concatenate(rows), windows[n][1]) for n, rows in made.items()}}
        have_of = {name: len(ids) for name, (ids, _) in windows.items()}
        if asked.until is None or upto >= asked.drawn or enough(vectors):
            return vectors
        upto = min(2 * upto, asked.drawn)


def mixture_of(
    vectors: store.Vectors,
    known: Mapping[str, Domain],
    asked: Asked,
    embedder: Mapping[str, Any],
    notes: Sequence[str],
) -> Mixture:
    """Return the mixture of the domains' vectors.

    Args:
        vectors: of every domain.
        known: of every domain's text.
        asked: settings, confidence, seed, budget.
        embedder: what goes into mix.json of it.
        notes: warnings from the reading.
    """
    names = tuple(vectors)
    rows = {name: windows for name, (windows, _) in vectors.items()}
    embeddings = kernel.means(rows)
    found = weigh(embeddings, asked.settings)
    over_windows = _interval(vectors, asked, documents=False)
    over_documents = _interval(vectors, asked, documents=True)
    left_out = without(embeddings, asked.settings)
    moves = influence(found.weights, left_out)
    about = {}
    for i, name in enumerate(names):
        others = {n: float(left_out[i, j]) for j, n in enumerate(names) if j != i}
        about[name] = replace(
            known[name],
            windows=len(rows[name]),
            documents_seen=len(np.unique(vectors[name][1])),
            score=float(found.scores[i]),
            low=_finite(over_windows.low[i]),
            high=_finite(over_windows.high[i]),
            low_documents=_finite(over_documents.low[i]),
            high_documents=_finite(over_documents.high[i]),
            influence=float(moves[i]) if len(names) > 1 else None,
            weights_without=others,
        )
    warnings = [*notes, *advice(names, about, found, asked.until)]
    if asked.budget is not None:
        warnings += repeated(names, found.weights.tolist(), about, asked.budget)
    settings = asked.settings
    return Mixture(
        MixtureSchedule.static(dict(zip(names, found.weights.tolist(), strict=True))),
        about,
        {
            **asdict(settings),
            "ridge_used": found.ridge,
            "temperature_used": found.temperature,
            "seed": asked.seed,
            "confidence": asked.confidence,
        },
        embedder,
        found.affinity.tolist(),
        tuple(warnings),
    )


def _interval(vectors: store.Vectors, asked: Asked, documents: bool) -> Any:
    rows = {name: windows for name, (windows, _) in vectors.items()}
    groups = {n: seen if documents else np.arange(len(seen)) for n, (_, seen) in vectors.items()}
    return bootstrap(rows, groups, asked.settings, asked.confidence, asked.seed)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def described(embedder: Embedder, asked: Asked) -> dict[str, Any]:
    """Return what mix.json says of an embedder."""
    made = {key: getattr(embedder, key) for key in ("sha256", "layer", "layers", "width", "window_length")}
    given = {key: getattr(asked, key) for key in ("windows", "drawn", "precision", "tokenizer")}
    return {"model": embedder.name, **made, **given}


def estimate(
    data: Sequence[str | Path],
    asked: Asked = Asked(),
    dataset: Mapping[str, Any] | None = None,
) -> tuple[Mixture, store.Vectors]:
    """Weigh domains of text with a pretrained model; nothing is trained.

    Args:
        data: one folder with a folder per domain, or a folder or file per domain; or token shards.
        asked: see `Asked`.
        dataset: in place of `data`, `{path, domain_field, split, ...}` of a data set.

    Returns:
        The mixture, and the vectors of its windows (for `store.save`).

    Raises:
        UserError: a value that is none, text that cannot be read, or a model that cannot be loaded.
    """
    asked.check()
    tokens = shards.found(data) if dataset is None else {}
    domains = {} if dataset is not None or tokens else sources.named(data)
    # Before the text, which may take a while to read: a model that is not there is told at once.
    print(f"weigh: loading {asked.model}", file=sys.stderr, flush=True)
    embedder = Embedder(load(asked.model, asked.precision), asked.layer, asked.window_length)
    notes: list[str] = []
    if tokens:
        found = shards.texts(tokens, embedder, asked.drawn, asked.seed, asked.tokenizer)
    else:
        if dataset is None:
            drawn = sources.draw_folders(domains, asked.text_field, asked.sampler)
        else:
            options = {"split": "train", **dataset}
            path, field = options.pop("path"), options.pop("domain_field")
            drawn = sources.draw_dataset(path, options, asked.text_field, field, asked.sampler)
        found, notes = texts(drawn, embedder), drawn.notes

    def enough(vectors: store.Vectors) -> bool:
        return bool(asked.until and _interval(vectors, asked, documents=False).widest <= asked.until)

    vectors = embed(found, embedder, asked, {}, enough)
    known = {name: text.known for name, text in found.items()}
    return mixture_of(vectors, known, asked, described(embedder, asked), notes), vectors
