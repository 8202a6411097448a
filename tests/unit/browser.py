"""Pages in a real browser, headless Chromium: what they compute, whether they fit a narrow screen.

A browser takes seconds to start, so one start looks at many pages: each lies in a frame of its own width and
tells the outer page what it is.
"""

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom")
#: First in a page: what went wrong in it, and what its policy forbade.
WATCH = """<script>
const wrong = [];
addEventListener("error", (e) => wrong.push(String(e.message)));
addEventListener("securitypolicyviolation", (e) => wrong.push("forbidden: " + e.blockedURI));
</script>"""
#: Last in a page: tells the page around it what it is; ACT stands for what a reader does first.
TELL = """<script>
addEventListener("load", () => setTimeout(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const acted = (() => { ACT })();
  setTimeout(() => parent.postMessage({
    at: PLACE, wrong, acted, hash: location.hash, text: document.body.innerText,
    inner: innerWidth, scroll: document.documentElement.scrollWidth,
    state: JSON.parse(document.getElementById("state").textContent),
    weights: all("tr[data-weight]").map((row) => Number(row.dataset.weight)),
    unlabelled: all("input, select").filter((e) => !e.labels.length && !e.ariaLabel).map((e) => e.outerHTML),
    unreachable: all("input, select, button, summary, .scroll, .tall").filter((e) => e.tabIndex < 0)
      .map((e) => e.outerHTML.slice(0, 99)),
    twice: all("[id]").map((e) => e.id).filter((id, i, ids) => ids.indexOf(id) !== i),
    unnamed: all(".plot").filter((e) => !e.ariaLabel).map((e) => e.id),
    drawn: all(".plot").filter((e) => e.querySelector(".main-svg")).length,
    opened: all("details[open] table").length, bold: all("b.hostile").length,
  }, "*"), 50);
}, 50));
</script>"""


#: Around the pages: keeps what they tell.
OUTER = r"""<!doctype html><body><script type="application/json" id="out">[]</script><script>
const told = [];
addEventListener("message", (e) => {
  told.push(e.data);
  document.getElementById("out").textContent = JSON.stringify(told).replace(/</g, "\\u003c");
});
</script>"""


class View(NamedTuple):
    """A page to look at: its file, what follows `#`, the screen's width, what is done there (a script)."""

    page: Path
    hash: str = ""
    width: int = 1280
    act: str = "return null"


def find() -> str:
    """Return the browser; skip the test where there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (CHROMIUM names one)")
    return found


def dump(page: Path, hash: str = "") -> str:
    """Return a page's document after its scripts have run."""
    address = page.resolve().as_uri() + (f"#{hash}" if hash else "")
    done = subprocess.run([find(), *FLAGS, address], capture_output=True, text=True, timeout=240, check=True)
    return done.stdout


def script(text: str, id: str) -> Any:
    """Return the JSON of a script element."""
    found = re.search(rf'<script type="application/json" id="{id}">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def computed(code: Sequence[str], folder: Path) -> Any:
    """Return what scripts leave in the variable `answer`."""
    page = folder / "computed.html"
    tell = "document.getElementById('out').textContent = JSON.stringify(answer).replace(/</g, '\\\\u003c');"
    scripts = "".join(f"<script>{text}</script>" for text in (*code, tell))
    page.write_text(
        f'<!doctype html><body><script type="application/json" id="out"></script>{scripts}', "utf-8"
    )
    return script(dump(page), "out")


def look(views: Sequence[View], folder: Path) -> list[dict[str, Any]]:
    """Return what each page tells of itself (see TELL), in one start of the browser."""
    frames = []
    for at, view in enumerate(views):
        text = view.page.read_text(encoding="utf-8")
        tell = TELL.replace("PLACE", str(at)).replace("ACT", view.act)
        text = text.replace("<head>", f"<head>{WATCH}", 1).replace("</body>", f"{tell}</body>", 1)
        copy = folder / f"frame{at}.html"
        copy.write_text(text, encoding="utf-8")
        source = html.escape(copy.resolve().as_uri() + (f"#{view.hash}" if view.hash else ""))
        frames.append(f'<iframe src="{source}" style="width:{view.width}px;height:900px;border:0"></iframe>')
    outer = folder / "outer.html"
    outer.write_text(
        OUTER + "".join(frames),
        encoding="utf-8",
    )
    told = {one["at"]: one for one in script(dump(outer), "out")}
    assert set(told) == set(range(len(views))), "not every page told of itself"
    return [told[at] for at in range(len(views))]
