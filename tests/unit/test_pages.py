"""The HTML pages of tables: cells survive, markup is escaped, bold and code are shown."""

from html.parser import HTMLParser

from chameleon.reporting.pages import page
from chameleon.reporting.records.tidy import markdown


class Cells(HTMLParser):
    """Collects the text of header and body cells, and which of it is bold."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.bold: list[str] = []
        self.text: list[str] = []
        self._in: list[str] = []

    def handle_starttag(self, tag, attrs):
        self._in.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data):
        if "td" in self._in or "th" in self._in:
            self.rows[-1][-1] += data
        elif "p" in self._in:
            self.text.append(data)
        if "b" in self._in:
            self.bold.append(data)


def test_a_table_comes_back_cell_by_cell():
    rows = [["uniform", "1.00", "a|b"], ["x < y & z", "**−2.5**", "`code`"]]
    parsed = Cells()
    parsed.feed(page("Title", "A sentence with `pretrain`.\n\n" + markdown(["method", "ppl", "note"], rows)))
    assert parsed.rows == [
        ["method", "ppl", "note"],
        ["uniform", "1.00", "a|b"],
        ["x < y & z", "−2.5", "code"],
    ]
    assert parsed.bold == ["−2.5"]
    assert "".join(parsed.text) == "A sentence with pretrain."


def test_sentences_get_width_and_numbers_stand_to_the_right():
    text = page(
        "Title", markdown(["claim", "p"], [["A sentence that is longer than forty characters.", "0.1"]])
    )
    assert "<td class=l>A sentence" in text and "<td class=n>0.1" in text and "<th>claim" in text


def test_markup_in_text_is_shown_not_run():
    assert "<script>" not in page("<script>", "<script>alert(1)</script>")
