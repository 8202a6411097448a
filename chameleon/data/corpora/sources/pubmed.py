"""PubMed baseline XML: English articles as title, blank line, abstract with its section labels."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from chameleon.data.corpora.readers import Members


def _flat(element: ElementTree.Element | None) -> str:
    """Return an element's text, inner markup dropped and whitespace collapsed."""
    return "" if element is None else re.sub(r"\s+", " ", "".join(element.itertext())).strip()


def _abstract(article: ElementTree.Element) -> str:
    paragraphs = []
    for part in article.iterfind(".//Abstract/AbstractText"):
        label = part.get("Label", "")
        named = label and label != "UNLABELLED"
        paragraphs.append(f"{label.capitalize()}: {_flat(part)}" if named else _flat(part))
    return "\n".join(p for p in paragraphs if p)


def read(members: Members) -> Iterator[str]:
    """Yield one document per English record that has an abstract, in file order."""
    for _, data in members:
        for _, element in ElementTree.iterparse(io.BytesIO(data)):
            if element.tag != "PubmedArticle":
                continue
            abstract = _abstract(element)
            if abstract and element.findtext(".//Language") == "eng":
                yield f"{_flat(element.find('.//ArticleTitle'))}\n\n{abstract}"
            element.clear()  # 16 MB of gzip holds 30,000 records; keep one at a time
