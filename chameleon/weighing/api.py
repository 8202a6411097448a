"""`weigh`, `add`, `remove`: what the command line and Python call. They write a mixture's folder.

The folder holds `mix.json` (see `chameleon.mixture`), `windows.safetensors` (what adding and removing start
from) and `mix.html`. The same text, model and settings give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.mixture import Domain, Mixture
from chameleon.mixture.settings import Settings
from chameleon.weighing import store
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.estimate import Asked, embed, estimate, mixture_of
from chameleon.weighing.models import load
from chameleon.weighing.text import shards, sources
from chameleon.weighing.text.texts import texts

Data = str | Path | Sequence[str | Path]


def weigh(
    data: Data | None = None,
    *,
    out: str | Path | None = None,
    dataset: Mapping[str, Any] | None = None,
    mode: str = "pretrain",
    ridge: float | Mapping[str, float] = 10.0,
    temperature: float | Mapping[str, float] | None = None,
    **asked: Any,
) -> Mixture:
    """Return how much of each domain to train on, by kernel ridge leverage scores of a model's hidden states.

    Args:
        data: a folder with a folder of text (or token shards) per domain, or a list with one path per domain.
        out: folder for mix.json, its windows and its page; None: nothing is written.
        dataset: in place of `data`: `path` and `domain_field` of a data set of the Hugging Face hub (or a
            folder laid out like one), and what `datasets.load_dataset` takes (`split`, `name`, `revision`).
        mode: `pretrain` (common domains gain) or `finetune` (distinctive ones do).
        ridge: λ, or {"of_trace": 0.2}: kλ as a share of the affinity's trace.
        temperature: T, or {"at": 5.0, "of": 7}: in proportion to the number of domains; None: the mode's own.
        asked: the other fields of `chameleon.weighing.estimate.Asked`: model, layer, windows, window_length,
            until, drawn, confidence, seed, precision, text_field, tokenizer, budget.

    Raises:
        UserError: one line for whatever is wrong with text, model or settings.
    """
    if (data is None) == (dataset is None):
        raise UserError("give either data (folders or files) or a dataset")
    wanted = Asked(settings=Settings(mode, ridge, temperature), **asked)
    mixture, vectors = estimate(_paths(data), wanted, dataset)
    return _written(mixture, vectors, out)


def add(mix: str | Path, data: Data, *, out: str | Path | None = None, text_field: str = "text") -> Mixture:
    """Return a mixture with more domains: only these are embedded, with the mixture's model and settings.

    Equal to weighing all domains from the start.

    Args:
        mix: folder that `weigh` wrote.
        data: a folder of text per new domain (as of `weigh`).
        out: folder for the new mixture; None: nothing is written.
        text_field: where rows of the new text hold it.

    Raises:
        UserError: a domain that is there already, a mixture without its windows, or another version of its
            model.
    """
    about, made, asked, vectors = _kept(mix)
    windows = max(d.windows or 1 for d in about.values())
    asked = replace(asked, windows=windows, text_field=text_field)
    tokens = shards.found(_paths(data))
    domains = {} if tokens else sources.named(_paths(data), alone=True)
    if both := sorted({*tokens, *domains} & set(vectors)):
        raise UserError(f"domain {both[0]!r} is in the mixture already; `remove` it first")
    embedder = Embedder(load(asked.model, asked.precision), asked.layer, asked.window_length)
    if made["sha256"] is not None and embedder.sha256 != made["sha256"]:
        raise UserError(f"{mix}: was made with other weights of {asked.model!r}; weigh all domains again")
    notes: list[str] = []
    if tokens:
        found = shards.texts(tokens, embedder, asked.drawn, asked.seed, asked.tokenizer)
    else:
        drawn = sources.draw_folders(domains, asked.text_field, asked.sampler)
        found, notes = texts(drawn, embedder), drawn.notes
    vectors = embed(found, embedder, asked, vectors, lambda _: True)
    known = {**about, **{name: text.known for name, text in found.items()}}
    return _written(mixture_of(vectors, known, asked, made, notes), vectors, out)


def remove(mix: str | Path, domains: Sequence[str], *, out: str | Path | None = None) -> Mixture:
    """Return a mixture without some domains; no model is needed.

    Args:
        mix: folder that `weigh` wrote.
        domains: to leave out.
        out: folder for the new mixture; None: nothing is written.

    Raises:
        UserError: a domain that the mixture does not have, or none is left.
    """
    about, made, asked, vectors = _kept(mix)
    for name in domains:
        if name not in vectors:
            raise UserError(f"{mix}: domain {choices(name, vectors)}")
    vectors = {name: kept for name, kept in vectors.items() if name not in domains}
    if not vectors:
        raise UserError(f"{mix}: no domain is left")
    return _written(mixture_of(vectors, about, asked, made, []), vectors, out)


def _paths(data: Data | None) -> list[str | Path]:
    if data is None:
        return []
    return [data] if isinstance(data, str | Path) else list(data)


def _kept(mix: str | Path) -> tuple[dict[str, Domain], Mapping[str, Any], Asked, store.Vectors]:
    """Return what is known of a mixture's domains, its embedder, what it was asked with, and its windows."""
    folder = Path(mix) if Path(mix).is_dir() else Path(mix).parent
    mixture = Mixture.load(mix)
    vectors = store.load(folder, mixture.domains)
    how, made = mixture.how, mixture.embedder
    if how is None or made is None:
        raise UserError(f"{mix}: does not say which model and settings made it")
    given = ("model", "layer", "windows", "drawn", "window_length", "precision")
    settings = Settings(**{key: how[key] for key in ("mode", "ridge", "temperature", "centre", "normalise")})
    asked = Asked(
        **{key: made[key] for key in given},
        tokenizer=made.get("tokenizer"),
        seed=how["seed"],
        confidence=how["confidence"],
        settings=settings,
    )
    return {d: mixture.domain(d) for d in mixture.domains}, made, asked, vectors


def _written(mixture: Mixture, vectors: store.Vectors, out: str | Path | None) -> Mixture:
    if out is not None:
        from chameleon.pages import mixture_page

        folder = Path(out)
        store.save(folder, vectors)
        mixture_page(mixture, None, folder / "mix.html")
        # Last: a folder with a mix.json is complete.
        mixture.save(folder / "mix.json")
    return mixture


__all__ = ["Domain", "Mixture", "add", "remove", "weigh"]
