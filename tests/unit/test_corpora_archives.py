"""Reading wheels, zips and tarballs in memory, and refusing what is broken or unsafe."""

import gzip
import io
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
        link = tarfile.TarInfo("pkg/link.txt")
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


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_truncated_archives_are_one_line(pack, keep):
    path = pack({f"{i}.txt": bytes(range(256)) * (i + 1) for i in range(20)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UserError, match="cannot be read as an archive") as caught:
        list(members(path, "txt"))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
