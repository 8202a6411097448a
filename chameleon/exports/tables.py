"""Plain files for what reads no trainer's format: a CSV table, JSON and YAML {domain: weight}."""

import csv
import io
from pathlib import Path

import yaml

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError, shown
from chameleon.exports.caps import length_of, tokens_of
from chameleon.exports.plan import Format, Plan
from chameleon.exports.preparing import document_shares
from chameleon.exports.texts import comments, json_text, plain, rounded, yaml_text
from chameleon.mixture import Domain

COLUMNS = ("domain", "token_share", "document_share", "tokens", "tokens_per_document", "epochs")


def _csv(plan: Plan) -> dict[str, str]:
    """Return the table: both units side by side, and what is known of each domain."""
    shares = {e.domain: float(e.weight) for e in plan.entries}
    documents = document_shares(shares, plan.about)
    printed = None if documents is None else rounded(list(documents.values()), plan.decimals)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for i, entry in enumerate(plan.entries):
        about = plan.about.get(entry.domain, Domain())
        epochs = plan.epochs.get(entry.domain)
        known = [tokens_of(about), length_of(about), None if epochs is None else round(epochs, 6)]
        cells = ["" if value is None else plain(value) for value in known]
        lines.writerow(
            [entry.domain, plain(entry.weight), "" if printed is None else plain(printed[i]), *cells]
        )
    return {"mixture.csv": text.getvalue()}


def _read_csv(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "mixture.csv"
    with open(path, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    try:
        return [[(row["domain"], float(row["token_share"])) for row in rows]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: a row has no domain or no number in token_share ({error})") from error


def _json(plan: Plan) -> dict[str, str]:
    return {"mixture.json": json_text({e.domain: e.weight for e in plan.entries}) + "\n"}


def _yaml(plan: Plan) -> dict[str, str]:
    weights = yaml_text({e.domain: e.weight for e in plan.entries})
    return {"mixture.yaml": comments(plan.notes) + weights}


def _pairs(found: object, path: Path) -> list[list[tuple[str, float]]]:
    if not isinstance(found, dict) or any(not isinstance(w, int | float) for w in found.values()):
        raise UserError(f"{path}: {shown(found)} is not {{domain: weight}}")
    return [[(str(name), float(weight)) for name, weight in found.items()]]


def _read_json(folder: Path) -> list[list[tuple[str, float]]]:
    return _pairs(read_json(folder / "mixture.json"), folder / "mixture.json")


def _read_yaml(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "mixture.yaml"
    return _pairs(yaml.safe_load(path.read_text(encoding="utf-8")), path)


FORMATS = (
    Format("csv", "tokens", ("mixture.csv",), _csv, _read_csv, "a spreadsheet, or pandas.read_csv"),
    Format(
        "json", "tokens", ("mixture.json",), _json, _read_json, "chameleon reads it back: --to from it again"
    ),
    Format("yaml", "tokens", ("mixture.yaml",), _yaml, _read_yaml, "any script of yours"),
)
