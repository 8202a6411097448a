"""The tokenizer of an experiment: one byte-level BPE trained on equal shares of its domains, or a given one.

Reads the prepared corpora (`results/corpora/{corpus}/{domain}.parquet`, train split only); writes a folder
that `transformers.AutoTokenizer.from_pretrained` loads. Everything downstream carries the SHA-256 of its
`tokenizer.json`, so weights or models of another tokenizer are refused.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import atomic, read_json, sha256_file
from chameleon.core.errors import UserError
from chameleon.core.seeds import generator

END_OF_TEXT = "<|endoftext|>"
#: Documents read at a time.
BATCH = 512

# A domain's training text: (corpus, domain, parquet file).
DomainFile = tuple[str, str, str | Path]


def train_tokenizer(spec: dict[str, Any], documents: Sequence[DomainFile], out_dir: str | Path) -> None:
    """Train (or copy) the tokenizer that `spec` describes into the folder `out_dir`.

    Args:
        spec: `{kind: bpe, vocab_size, bytes_per_domain, seed}` or `{kind: gpt2, path}` (null: "gpt2").
        documents: the domains to learn from; unused by `gpt2`.
        out_dir: gets tokenizer.json (written last), tokenizer_config.json and what else transformers saves.

    Raises:
        UserError: no documents, or a tokenizer that cannot be loaded, has no end-of-text token
            or ids far beyond the number of its tokens.
    """
    tokenizer = _train_bpe(spec, documents) if spec["kind"] == "bpe" else _load_gpt2(spec)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for file in sorted(Path(folder).iterdir(), key=lambda f: (f.name == "tokenizer.json", f.name)):
            with atomic(Path(out_dir) / file.name) as temporary:
                shutil.copyfile(file, temporary)


def load_tokenizer(folder: str | Path) -> Any:
    """Return the fast tokenizer saved in `folder`.

    Raises:
        UserError: no tokenizer.json there.
    """
    if not (Path(folder) / "tokenizer.json").is_file():
        raise UserError(f"{folder}: no tokenizer.json in this folder")
    return _load(str(folder), "tokenizer")


def tokenizer_sha256(folder: str | Path) -> str:
    """Return the tokenizer's identity: the SHA-256 (hex) of its tokenizer.json."""
    return sha256_file(Path(folder) / "tokenizer.json")


def _train_bpe(spec: dict[str, Any], documents: Sequence[DomainFile]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    smallest = len(pre_tokenizers.ByteLevel.alphabet()) + 1
    if spec["vocab_size"] < smallest:
        raise UserError(
            f"tokenizer.vocab_size: {spec['vocab_size']} is below {smallest} (256 bytes + {END_OF_TEXT})"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec["vocab_size"],
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_equal_shares(spec, documents), trainer=trainer)
    # No model_max_length: it would make transformers warn at the context of one scale and not of another.
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )


def _equal_shares(spec: dict[str, Any], documents: Sequence[DomainFile]) -> Iterator[str]:
    """Yield training documents, the same number of UTF-8 bytes of every domain.

    The share is `bytes_per_domain` or the smallest domain's train split, whichever is less: a domain that
    runs out would otherwise have a smaller say in the vocabulary.
    """
    if not documents:
        raise UserError("tokenizer: no domains to train on")
    lengths = {
        (corpus, domain, path): np.fromiter((len(text.encode()) for text in train_texts(path)), np.int64)
        for corpus, domain, path in documents
    }
    sizes = {f"{corpus}/{domain}": int(found.sum()) for (corpus, domain, _), found in lengths.items()}
    share = min(spec["bytes_per_domain"], *sizes.values())
    if share < spec["bytes_per_domain"]:
        name = min(sizes, key=lambda n: sizes[n])
        print(
            f"tokenizer: {share} bytes per domain instead of {spec['bytes_per_domain']}: all that {name} has",
            file=sys.stderr,
        )
    for (corpus, domain, path), found in lengths.items():
        order = generator(spec["seed"], "tokenizer", corpus, domain).permutation(len(found))
        # The first so many of that order, one read only in part: the others are never held.
        last = int(np.searchsorted(np.cumsum(found[order]), share))
        wanted = set(order[: last + 1].tolist())
        texts = {i: text for i, text in enumerate(train_texts(path)) if i in wanted}
        left = share
        for i in order[: last + 1].tolist():
            data = texts[i].encode()
            yield texts[i] if len(data) <= left else data[:left].decode(errors="ignore")
            left -= len(data)


def train_texts(path: str | Path) -> Iterator[str]:
    """Yield the texts of a prepared domain's train split, a few at a time in memory."""
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(BATCH, columns=["split", "text"]):
        for split, text in zip(batch["split"].to_pylist(), batch["text"].to_pylist(), strict=True):
            if split == "train":
                yield text


def end_of_text(tokenizer: Any, where: str = "tokenizer.path") -> str:
    """Return the token that ends documents: `<|endoftext|>`, or what the tokenizer calls its end of sequence.

    Raises:
        UserError: it has neither. The token for unknown text cannot stand in: it means something else.
    """
    known = tokenizer.get_vocab()
    if END_OF_TEXT in known:
        return END_OF_TEXT
    if tokenizer.eos_token in known and tokenizer.eos_token != tokenizer.unk_token:
        return str(tokenizer.eos_token)
    raise UserError(
        f"{where}: no end-of-text token: neither {END_OF_TEXT} nor an eos_token of its own; documents need "
        "one to end with, as GPT-2's tokenizer and those of other causal language models have"
    )


def vocabulary_size(tokenizer: Any, where: str = "tokenizer.path") -> int:
    """Return the number of ids a model needs: the largest plus one. Ids may have holes, but not many.

    Raises:
        UserError: more than half of the ids below the largest belong to no token.
    """
    return _size(set(tokenizer.get_vocab().values()), where)


def _size(ids: set[int], where: str) -> int:
    size = max(ids, default=-1) + 1
    if ids and (min(ids) < 0 or size > 2 * len(ids)):
        raise UserError(
            f"{where}: its ids go from {min(ids)} to {size - 1}, but there are {len(ids)} tokens: a model "
            f"would have {size} rows; number the tokens without such gaps"
        )
    return size


def _check_ids(source: str, where: str) -> None:
    """Look at a folder's ids before they are loaded: the library makes room for the largest of them.

    What has another form than expected is left to the library to refuse.

    Raises:
        UserError: see `vocabulary_size`.
    """
    try:
        raw = read_json(Path(source) / "tokenizer.json")
        vocabulary = raw["model"]["vocab"]
        ids = set(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))
        ids |= {token["id"] for token in raw.get("added_tokens") or []}
    except (UserError, AttributeError, KeyError, TypeError):
        return
    if all(isinstance(i, int) for i in ids):
        _size(ids, f"{where}: {source!r}")


def _load(source: str, where: str) -> Any:
    """Return a fast tokenizer; code that comes with it is never run.

    Raises:
        UserError: it cannot be loaded, has no fast form, or ids far beyond the number of its tokens.
    """
    _check_ids(source, where)
    try:
        tokenizer = _reader(source).from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # whatever a library makes of a folder that holds something else
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{where}: cannot load {source!r}: {reason}") from error
    if not tokenizer.is_fast:
        raise UserError(f"{where}: {source!r} has no fast form (tokenizer.json)")
    return tokenizer


def _reader(source: str) -> Any:
    """Return the class that reads a tokenizer; one of ours is read without importing torch."""
    from transformers import PreTrainedTokenizerFast

    settings = Path(source) / "tokenizer_config.json"
    if settings.is_file() and read_json(settings).get("tokenizer_class") == PreTrainedTokenizerFast.__name__:
        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _load_gpt2(spec: dict[str, Any]) -> Any:
    source = spec.get("path") or "gpt2"
    tokenizer = _load(source, "tokenizer.path")
    where = f"tokenizer.path: {source!r}"
    end = end_of_text(tokenizer, where)
    vocabulary_size(tokenizer, where)
    if tokenizer.eos_token not in tokenizer.get_vocab() or tokenizer.eos_token == tokenizer.unk_token:
        # What begins a prompt without context is the end of the text before it.
        tokenizer.eos_token = end
    # As those of encoders do: documents must stay whole, and end where they end.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer
