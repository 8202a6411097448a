"""E-mail messages (RFC 822 files): subject and text parts, HTML reduced to text, addresses masked."""

import email
import html
import re
from collections.abc import Iterator
from email.message import Message

from chameleon.data.corpora.readers import REPLACEMENT, Members

_INVISIBLE = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.S | re.I)
_BREAK = re.compile(r"</?(?:br|p|div|tr|li|ul|ol|h[1-6]|table|hr)\b[^>]*>", re.I)
_TAG = re.compile(r"<[^>]*>")
_ADDRESS = re.compile(r"[\w.+=-]+@[\w-]+(?:\.[\w-]+)+")
MASK = "name@example.org"


def html_to_text(markup: str) -> str:
    """Return the visible text of an HTML page, one line per block, spaces collapsed."""
    text = _TAG.sub(" ", _BREAK.sub("\n", _INVISIBLE.sub(" ", markup)))
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in html.unescape(text).split("\n"))
    return "\n".join(lines)


def _decode(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset that the sender made up
        return data.decode("latin-1")


def _body(message: Message) -> str:
    """Return the text of a message; of alternatives that say the same, the plain one."""
    if message.is_multipart():
        parts = [part for part in message.get_payload() if isinstance(part, Message)]
        if message.get_content_subtype() == "alternative":
            parts = [part for part in parts if part.get_content_type() == "text/plain"][:1] or parts
        return "\n".join(filter(None, map(_body, parts)))
    if message.get_content_maintype() != "text":
        return ""
    body = _decode(message)
    return html_to_text(body) if message.get_content_subtype() == "html" else body


def _subject(message: Message) -> str:
    """Return the subject on one line; headers with undecodable bytes come as `Header` objects."""
    return re.sub(r"\s+", " ", str(message.get("Subject", ""))).strip()


def read(members: Members, *, min_ascii: float = 0.95) -> Iterator[str]:
    """Yield one document per message, in file order.

    Args:
        members: (name, bytes) of single messages; a leading mbox `From ` line is dropped.
        min_ascii: least share of ASCII characters; below it a message is in another script or is binary.
    """
    for _, data in members:
        if data.startswith(b"From "):
            data = data.partition(b"\n")[2]
        message = email.message_from_bytes(data)
        body = _ADDRESS.sub(MASK, _body(message)).replace("\r\n", "\n").strip()
        ascii_share = sum(map(str.isascii, body)) / max(len(body), 1)
        if ascii_share < min_ascii or body.count(REPLACEMENT) > 0.02 * len(body):
            continue
        subject = _ADDRESS.sub(MASK, _subject(message))
        yield f"Subject: {subject}\n\n{body}" if subject else body
