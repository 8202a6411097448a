"""A page as one file: template, style, scripts and data put together, nothing that is fetched later.

The page's policy forbids every request, so that what is not in the file is not there. Data stand in the page
as JSON; text of a user (names of domains, warnings) never becomes markup.
"""

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from chameleon.core.artifacts import write_text

#: What a script or style of the page may do: be in it. Nothing may be loaded.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>
$style</style>
</head>
"""
_END = """<script type="application/json" id="data">$data</script>
<script type="application/json" id="state">{}</script>
$scripts
</body>
</html>
"""


def static(name: str) -> str:
    """Return a file of `chameleon/pages/static`."""
    return files("chameleon.pages").joinpath("static", name).read_text(encoding="utf-8")


def escape(text: object) -> str:
    """Return text as HTML that shows it, in an element or in a quoted attribute."""
    return html.escape(str(text))


def box(heading: str, items: Sequence[str]) -> str:
    """Return a box of warnings, as HTML; nothing for none. Items are HTML already."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    said = f'<div class="warnings" role="note"><strong>⚠ {heading}</strong><ul>{listed}</ul></div>'
    return said if items else ""


def data_block(value: Any) -> str:
    """Return JSON that may stand in a script element: no `<`, `>` or `&` of a name ends or opens anything.

    Numbers have all their digits.

    Raises:
        ValueError: a NaN or an infinity.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def fill(template: str, **parts: str) -> str:
    """Return a template of `static` with its `$names` filled in; what is filled in is HTML already."""
    return Template(static(template)).substitute(parts)


def write(out: Any, title: str, body: str, data: Any, *scripts: str) -> None:
    """Write a page.

    Args:
        out: file to write.
        title: of the browser's tab, plain text.
        body: HTML from the opening of `body` on, without its end.
        data: what the scripts draw; JSON values.
        scripts: names of files in `static`, in the order in which they run, after Plotly.
    """
    from plotly.offline import get_plotlyjs

    head = Template(_HEAD).substitute(policy=POLICY, title=escape(title), style=static("page.css"))
    code = [get_plotlyjs(), *map(static, scripts)]
    run = "\n".join(f"<script>\n{text}</script>" for text in code)
    write_text(out, head + body + Template(_END).substitute(data=data_block(data), scripts=run))
