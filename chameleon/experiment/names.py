"""Names that become names of files: the results folder, corpora, domains, models that embed.

They must be safe in a path, mean nothing else in the results, and differ on every file system.
"""

import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from chameleon.core.errors import UserError
from chameleon.experiment.config import Config

#: Bytes of a domain's name: its files' names add some, and a file system takes 255.
MOST_BYTES = 100
#: What stands in the tidy files beside corpora and domains.
TAKEN_CORPORA = ("all", "fewshot")
TAKEN_DOMAINS = ("mean", "mean_old", "mean_new")
#: Letters (of any script), digits, and what neither a shell nor Snakemake reads as anything else.
_BAD = re.compile(r"[^\w .,+=@()/-]")


def check_results(cfg: Config) -> None:
    """Refuse a results folder whose name is not taken as it is written by everything that sees it.

    Raises:
        UserError: names the key, the value and the characters that may stand there.
    """
    given, where = str(cfg.raw.get("results_dir", "results")), "results_dir"
    if bad := sorted(set(_BAD.findall(given))):
        home = "; write the home folder out" if "~" in bad else ""
        raise UserError(
            f"{where}: {given!r}: {' '.join(map(repr, bad))} may not stand in it, only letters, digits, "
            f"spaces and _ . , + - = @ ( ) /{home}"
        )
    if cfg.results == "." or cfg.results.startswith("-"):
        raise UserError(
            f"{where}: {given!r} is the workflow's own folder or looks like an option; name another"
        )
    if odd := [part for part in given.split("/") if part != part.strip() or len(part.encode()) > 255]:
        raise UserError(f"{where}: {given!r}: {odd[0]!r} has a space at an end, or more than 255 bytes")
    folder = Path(cfg.results).absolute()
    for name in cfg.corpora:
        entry = cfg.raw["corpora"][name]
        if entry["kind"] != "local" or entry.get("domains"):
            continue
        if Path(os.path.abspath(entry["path"])) in (folder, *folder.parents):
            raise UserError(
                f"{where}: {given!r} lies in corpora.{name}.path {entry['path']!r}, where every folder is a "
                "domain; name another place"
            )


def check_writable(cfg: Config) -> None:
    """Refuse a results folder that cannot be made or written.

    Raises:
        UserError: names the folder that stands in the way.
    """
    existing = Path(cfg.results)
    try:
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise UserError(f"{cfg.source}: results_dir: {cfg.results!r}: {existing} is not a folder")
        # Rights alone do not tell: read-only and network file systems have their own. Leaves nothing behind.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = f"{existing} cannot be written: {error.strerror or error}"
        raise UserError(f"{cfg.source}: results_dir: {cfg.results!r}: {reason}") from error


def check_domains(corpus: str, domains: Sequence[str]) -> None:
    """Refuse names that something else has in the results, or that are one to some file systems.

    Raises:
        UserError: names the corpus and the domains.
    """
    where = f"corpora.{corpus}"
    if corpus in TAKEN_CORPORA:
        raise UserError(f"{where}: this name stands for several corpora in the results; choose another")
    seen: dict[str, str] = {}
    for domain in domains:
        if domain in TAKEN_DOMAINS:
            raise UserError(
                f"{where}: domain {domain!r}: this stands for a mean of domains; choose another name"
            )
        if (size := len(domain.encode())) > MOST_BYTES:
            raise UserError(
                f"{where}: domain {domain[:40] + '...'!r}: {size} bytes long, at most {MOST_BYTES}"
            )
        same = unicodedata.normalize("NFC", domain).casefold()
        if same in seen:
            raise UserError(
                f"{where}: domains {seen[same]!r} and {domain!r} differ in case or form only: one file on "
                "some file systems; rename one"
            )
        seen[same] = domain


def check_embedders(cfg: Config) -> None:
    """Refuse scenarios and methods whose names run together in the name of what embeds domains.

    Raises:
        UserError: names the two.
    """
    found: dict[str, tuple[str, ...]] = {}
    for scenario in cfg.needed:
        for label in cfg.methods(scenario):
            name, model = cfg.embedder(scenario, label), cfg.embedding_model(scenario, label)
            if found.setdefault(name, model) != model:
                one, other = ("/".join(filter(None, m[1:])) for m in (found[name], model))
                raise UserError(
                    f"scenarios: {one} and {other} would both be {name!r} in the results; "
                    "rename a scenario or a method"
                )
