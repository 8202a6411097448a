"""Readers: members of an archive in, documents out; the shipped set is complete and readable."""

import json
import re

import pytest
from raw_documents import iter_documents

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import domain_names, domain_sources
from chameleon.data.corpora.fetch import ensure_artefacts
from chameleon.data.corpora.kinds import packages
from chameleon.data.corpora.readers import find_reader
from chameleon.data.corpora.sources.mail import html_to_text


def read(name, data, **parameters):
    return list(find_reader(name)([("member", data)], **parameters))


def test_text_keeps_what_lies_between_the_markers():
    book = b"licence\n*** START OF THIS ***\nChapter 1\n*** END OF THIS ***\nlicence"
    assert read("text", book, after=r"START OF.*?\*\*\*", before=r"\*\*\* END") == ["\nChapter 1\n"]
    assert read("text", b"no markers", after="START", before="END") == ["no markers"]


def test_text_filters_and_substitutes():
    limits = {"min_characters": 3, "max_characters": 12, "max_line": 8}
    assert [read("text", data, **limits) for data in (b"ab", b"abcdefghi", b"abcdef\nabcdefg")] == [
        [],
        [],
        [],
    ]
    assert read("text", b"abc\nabcdef", **limits) == ["abc\nabcdef"]
    assert read("text", b"\xff\xfe binary") == []
    assert read("text", b"caf\xe9", encoding="latin-1", substitutions=[["f.", "p"]]) == ["cap"]


def test_csv_fills_the_template_and_groups_rows():
    table = b'id,text\n1,"a &amp;\n b"\n2,c\n3,d\n'
    assert read("csv", table, template="{text}!") == ["a & b!", "c!", "d!"]
    assert read("csv", table, template="{text}", group=2) == ["a & b\nc", "d"]
    with pytest.raises(UserError, match="'body' is not one of id, text"):
        read("csv", table, template="{body}")


def test_json_and_jsonl():
    rows = {"b": {"t": "two"}, "a": {"t": "one"}}
    assert read("json", json.dumps(rows).encode(), template="{t}") == ["one", "two"]
    assert read("json", json.dumps([rows["b"]]).encode(), template="<{t}>") == ["<two>"]
    assert read("jsonl", b'{"t": "one"}\n\n{"t": "two"}\n', template="{t}") == ["one", "two"]


def test_unknown_reader_lists_generic_and_own_ones():
    with pytest.raises(UserError, match="'xls' is not one of text, csv, jsonl, json, aws, factbook, mail"):
        find_reader("xls")


PUBMED = """<PubmedArticleSet>
<PubmedArticle><A><ArticleTitle>On <i>cats</i>.</ArticleTitle><Language>eng</Language><Abstract>
<AbstractText Label="AIMS">To
 know.</AbstractText><AbstractText Label="UNLABELLED">We know.</AbstractText></Abstract></A></PubmedArticle>
<PubmedArticle><A><ArticleTitle>Katzen</ArticleTitle><Language>ger</Language>
<Abstract><AbstractText>Ja.</AbstractText></Abstract></A></PubmedArticle>
<PubmedArticle><A><ArticleTitle>No abstract</ArticleTitle><Language>eng</Language></A></PubmedArticle>
</PubmedArticleSet>"""


def test_pubmed_keeps_english_abstracts_with_labels():
    assert read("pubmed", PUBMED.encode()) == ["On cats.\n\nAims: To know.\nWe know."]


def test_mail_decodes_masks_and_prefers_plain_text():
    message = (
        b"From x@y.org Mon\nSubject: a\n  question\nContent-Type: multipart/alternative; boundary=B\n\n"
        b"--B\nContent-Type: text/plain; charset=made-up\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"write to jo=\nhn.doe@mail.example.com\n--B\nContent-Type: text/html\n\n<p>write</p>\n--B--\n"
    )
    assert read("mail", message) == ["Subject: a question\n\nwrite to name@example.org"]
    html = b"Content-Type: text/html\n\n<head><title>t</title></head><p>a&amp;b</p><br>c<!-- d -->"
    assert read("mail", html)[0].split() == ["a&b", "c"]
    assert (
        read("mail", b"Subject: x\nContent-Type: text/plain; charset=koi8-r\n\n" + bytes(range(192, 255)))
        == []
    )


def test_html_to_text_drops_scripts_and_tags():
    assert html_to_text("<script>x</script><h1>A&nbsp; b</h1>c<b>d</b>").split("\n") == ["", "A b", "c d"]


@pytest.mark.parametrize("name", packages.set_names())
def test_every_set_is_complete(name):
    """A set names pinned artefacts, known readers and patterns that compile, and says what it stands for."""
    entry = {"kind": "registry", "set": name}
    for domain in domain_names("any", entry):
        record = packages._domain(entry, domain)
        assert record["title"] and record["stands_for"] and record["differs"].endswith(".")
        for source in record["sources"]:
            assert source["artefact"] in packages.artefacts()
            assert source["licence"] and isinstance(source["redistributable"], bool)
            find_reader(source["reader"])
            for key in ("members", "exclude", "inside"):
                re.compile(source.get(key) or "")


def test_pins_are_well_formed():
    for pin in packages.artefacts().values():
        assert re.fullmatch("[0-9a-f]{64}", pin.sha256) and pin.bytes > 0 and pin.version in pin.file


def test_a_set_is_data_only(tmp_path, monkeypatch):
    """A new set needs YAML and an artefact in the cache, nothing else."""
    import zipfile

    from chameleon.core.artifacts import sha256_file

    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path))
    (tmp_path / "artefacts").mkdir()
    wheel = tmp_path / "artefacts" / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/a.txt", "one\n")
        archive.writestr("tiny/b.txt", "two\n")
    pin = {"registry": "pypi", "package": "tiny", "version": "1", "file": wheel.name, "licence": "MIT"}
    artefact = packages.Artefact(**pin, sha256=sha256_file(wheel), bytes=wheel.stat().st_size)
    source = {
        "artefact": "tiny",
        "members": "txt$",
        "reader": "text",
        "licence": "CC0",
        "redistributable": True,
    }
    record = {"title": "T", "stands_for": "S", "differs": "D.", "sources": [source]}
    monkeypatch.setattr(packages, "_load", lambda name: {"domains": {"words": record}})
    monkeypatch.setattr(packages, "artefacts", lambda: {"tiny": artefact})
    monkeypatch.setattr(packages, "set_names", lambda: ["mini"])
    entry = {"kind": "registry", "set": "mini"}
    assert domain_names("c", entry) == ["words"]
    assert list(iter_documents(entry, "words")) == ["one\n", "two\n"]
    assert domain_sources(entry, "words")[0]["licence"] == "CC0"


def cached_wiki():
    artefact = packages.artefacts()["ovos_wiki"]
    from chameleon.core.cache import cache_dir

    return (cache_dir() / "artefacts" / artefact.file).exists() and ensure_artefacts([artefact])


@pytest.mark.skipif(not cached_wiki(), reason="the wiki package is not in the cache")
def test_the_real_wiki_domain():
    documents = list(iter_documents({"kind": "registry", "set": "slim7"}, "wiki"))
    assert len(documents) == 10033
    assert documents[0].startswith("0\n\n0 is a number representing an empty quantity.")
