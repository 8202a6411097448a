"""From one mixture to the files of a trainer, and back: what a trainer would draw from them."""

from chameleon.exports.auditing import Audit, audit
from chameleon.exports.writing import FORMATS, Exported, export

__all__ = ["FORMATS", "Audit", "Exported", "audit", "export"]
