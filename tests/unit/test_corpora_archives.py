"""Reading wheels, zips and tarballs in memory, and refusing what is broken or unsafe."""

import gzip
import io
import random
import stat
import tarfile
import zipfile

import pytest

from chameleon.core.errors import UserError
from chameleon.data.corpora import archives
from chameleon.data.corpora.archives import members

FILES = {"pkg/b.txt": b"bee", "pkg/a.txt": b"ay", "pkg/c.md": b"sea", "pkg/d.txt.gz": gzip.compress(b"dee")}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("pkg/link.rst")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


@pytest.fixture(params=[zipped, tarred], ids=["wheel", "tgz"])
def pack(request, tmp_path):
    def write(files):
        path = tmp_path / "archive"
        path.write_bytes(request.param(files))
        return path

    return write


def test_members_come_in_name_order_by_pattern_and_exclude(pack):
    path = pack(FILES)
    assert list(members(path, r"\.txt$")) == [("pkg/a.txt", b"ay"), ("pkg/b.txt", b"bee")]
    assert list(members(path, r"\.(txt|md)$", exclude="/a")) == [("pkg/b.txt", b"bee"), ("pkg/c.md", b"sea")]


def test_compressed_members_and_archives_inside_are_opened(pack):
    path = pack(FILES | {"inner.zip": zipped({"rows.csv": b"1,2", "skip.txt": b""})})
    assert list(members(path, r"\.gz$")) == [("pkg/d.txt.gz", b"dee")]
    assert list(members(path, r"inner\.zip$", inside=r"\.csv$")) == [("rows.csv", b"1,2")]


def test_no_match_is_an_error(pack):
    with pytest.raises(UserError, match="no member matches 'nothing'"):
        list(members(pack(FILES), "nothing"))


@pytest.mark.parametrize("name", ["/etc/x.txt", "../x.txt", "a/../../x.txt", "a\\x.txt"])
def test_unsafe_names_are_refused(pack, name):
    with pytest.raises(UserError, match="unsafe member name"):
        list(members(pack({name: b"x"}), "txt"))


def test_absurd_sizes_are_refused(pack, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(UserError, match="big.txt' is 101 bytes, more than 100"):
        list(members(pack({"big.txt": b"x" * 101}), "txt"))
    with pytest.raises(UserError, match="decompresses to more than 100 bytes"):
        list(members(pack({"bomb.gz": gzip.compress(b"x" * 101)}), "gz"))


def refused(path, pattern, *words):
    with pytest.raises(UserError) as caught:
        list(members(path, pattern))
    message = str(caught.value)
    assert all(word in message for word in (str(path), *words)) and "\n" not in message


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_if_asked_for(tmp_path, kind):
    path = tmp_path / "archive.tgz"
    with tarfile.open(path, "w:gz") as archive:
        odd = tarfile.TarInfo("pkg/odd.txt")
        odd.type, odd.linkname = kind, "../../etc/passwd"
        archive.addfile(odd)
        plain = tarfile.TarInfo("pkg/plain.md")
        archive.addfile(plain, io.BytesIO())
    refused(path, "txt", "'pkg/odd.txt' is a link or a device")
    assert [name for name, _ in members(path, "md")] == ["pkg/plain.md"]
    assert [p.name for p in tmp_path.iterdir()] == ["archive.tgz"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "archive.zip"
    link = zipfile.ZipInfo("odd.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(path, "txt", "'odd.txt' is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.txt", "first")
        archive.writestr("x.txt", "second")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x.txt"))
        archive.addfile(tarfile.TarInfo("x.txt"))
    for name in ("a.zip", "a.tgz"):
        refused(tmp_path / name, "txt", "'x.txt' is there twice")


def test_bombs_are_refused_by_ratio_wherever_they_lie(pack, monkeypatch):
    monkeypatch.setattr(archives, "SMALL_BYTES", 1000)
    zeros = bytes(300_000)
    refused(pack({"bomb.txt": zeros}), "txt", "over 200 times as many")
    refused(pack({"bomb.txt.gz": gzip.compress(zeros)}), "gz", "over 200 times as many")
    inner = pack({"inner.zip": zipped({"bomb.csv": zeros})})
    with pytest.raises(UserError, match=r"inner\.zip: member 'bomb\.csv': .* over 200 times"):
        list(members(inner, "zip", inside="csv"))
    text = random.Random(0).randbytes(3000) * 100
    assert list(members(pack({"same.txt": text}), "txt")) == [("same.txt", text)]


def test_a_bomb_that_is_not_asked_for_costs_no_more(tmp_path, monkeypatch):
    """A tarball is read from its start: what is skipped is decompressed as well."""
    monkeypatch.setattr(archives, "SMALL_BYTES", 1000)
    path = tmp_path / "archive.tgz"
    path.write_bytes(tarred({"a.bin": bytes(300_000), "b.txt": b"text"}))
    refused(path, "txt", "over 200 times as many")


def test_the_total_is_bounded_with_archives_inside(pack, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1000)
    path = pack({f"{i}.txt": bytes([i]) * 300 for i in range(4)})
    refused(path, "txt", "holds more than 1000 bytes")
    assert len(list(members(path, r"[0-2]\.txt"))) == 3
    inner = pack({f"{i}.zip": zipped({"x.csv": b"x" * 300}) for i in range(3)})
    with pytest.raises(UserError, match="holds more than 1000 bytes"):
        list(members(inner, "zip", inside="csv"))


def test_damage_of_any_kind_is_one_line_or_harmless(pack):
    """Bytes changed at random, in the compressed stream's content as well: never a traceback."""
    pick = random.Random(3)
    path = pack({f"d/{i}\u00e9.txt": b"hello world " * i * 9 for i in range(5)})
    data = path.read_bytes()
    packed = data[:2] == b"\x1f\x8b"
    content = gzip.decompress(data) if packed else data
    for _ in range(400):
        broken = bytearray(content)
        for _ in range(pick.choice([1, 3])):
            broken[pick.randrange(len(broken))] = pick.choice([0, 255, pick.randrange(256)])
        path.write_bytes(gzip.compress(broken, 1) if packed else broken)
        try:
            list(members(path, "txt"))
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_truncated_archives_are_one_line(pack, keep):
    path = pack({f"{i}.txt": bytes(range(256)) * (i + 1) for i in range(20)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UserError, match="cannot be read as an archive") as caught:
        list(members(path, "txt"))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
