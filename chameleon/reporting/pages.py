"""Turns the tables' Markdown into small HTML pages, which is what a Snakemake report shows in place."""

import html
import re

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1rem; color: #222; }
div { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; }
.n { text-align: right; }
td.n { white-space: nowrap; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
td.l { min-width: 14rem; }
p { max-width: 50rem; }
""".strip()

#: Characters from which a cell is a sentence: it gets a column wide enough to read.
LONG = 40


def inline(text: str) -> str:
    """Return the HTML of one cell or sentence: escaped, with **bold** and `code`."""
    text = html.escape(text.replace("\\|", "|"), quote=False)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


def _cells(line: str) -> list[str]:
    return [inline(c.strip()) for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _row(line: str, tag: str, right: list[bool]) -> str:
    """Return one row; columns that the Markdown aligns to the right hold numbers, long text needs width."""
    html_cells = []
    for cell, number in zip(_cells(line), right, strict=True):
        look = " class=n" if number else " class=l" if len(cell) > LONG else ""
        html_cells.append(f"<{tag}{look}>{cell}</{tag}>")
    return f"<tr>{''.join(html_cells)}</tr>"


def page(title: str, markdown: str) -> str:
    """Return a self-contained HTML page of paragraphs and pipe tables.

    Args:
        title: of the browser's tab.
        markdown: paragraphs and tables as `chameleon.reporting.records.tidy.markdown` writes them, separated
        by empty lines.
    """
    blocks = []
    for block in re.split(r"\n\s*\n", markdown.strip()):
        lines = block.splitlines()
        if len(lines) > 1 and lines[0].startswith("|") and set(lines[1]) <= set("|-: "):
            right = [rule.endswith(":") for rule in _cells(lines[1])]
            head = _row(lines[0], "th", right)
            rows = "".join(f"{_row(line, 'td', right)}\n" for line in lines[2:])
            blocks.append(f"<div><table>\n<thead>{head}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>")
        else:
            blocks.append(f"<p>{inline(' '.join(lines))}</p>")
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>'
    body = "\n".join(blocks)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
