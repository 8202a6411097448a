"""Read members of wheels, zips and tarballs in memory: nothing is unpacked to disk, nothing is executed."""

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from chameleon.core.errors import UserError

# A pinned package cannot surprise us, but a swapped one could: refuse a member that would fill the memory.
MAX_MEMBER_BYTES = 512 * 1024 * 1024

# RuntimeError: an encrypted zip; NotImplementedError: an unknown compression.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError, RuntimeError)


def members(
    path: str | Path, pattern: str, exclude: str | None = None, inside: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the archive's regular files whose name matches, in name order.

    Args:
        path: a .whl, .zip, .tgz or .tar.gz.
        pattern: regular expression searched in the member's name.
        exclude: members whose name matches this one are left out.
        inside: the matching members are archives themselves; yield their members that match this instead.
            A member named `*.gz` is decompressed in any case.

    Raises:
        UserError: the archive is truncated or damaged, no member matches, or a matching name is unsafe
            (absolute, with `..`) or larger than `MAX_MEMBER_BYTES`.
    """
    try:
        with open(path, "rb") as handle:
            yield from _read(handle, str(path), pattern, exclude, inside)
    except _BROKEN as error:
        raise UserError(f"{path}: cannot be read as an archive (truncated?): {error}") from error


def _read(
    handle: IO[bytes], where: str, pattern: str, exclude: str | None, inside: str | None
) -> Iterator[tuple[str, bytes]]:
    found = False
    read = _tar if _is_tar(handle) else _zip
    for name, data in read(handle, where, pattern, exclude):
        found = True
        if inside is not None:
            yield from _read(io.BytesIO(data), f"{where}:{name}", inside, None, None)
        elif name.endswith(".gz"):
            yield name, _gunzip(data, f"{where}:{name}")
        else:
            yield name, data
    if not found:
        raise UserError(f"{where}: no member matches {pattern!r}")


def _is_tar(handle: IO[bytes]) -> bool:
    """Tell a gzipped tarball from a zip by its first two bytes."""
    magic = handle.read(2)
    handle.seek(0)
    return magic == b"\x1f\x8b"


def _wanted(name: str, size: int, where: str, pattern: str, exclude: str | None) -> bool:
    if not re.search(pattern, name) or (exclude and re.search(exclude, name)):
        return False
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
        raise UserError(f"{where}: unsafe member name {name!r}")
    if size > MAX_MEMBER_BYTES:
        raise UserError(f"{where}: member {name!r} is {size} bytes, more than {MAX_MEMBER_BYTES}")
    return True


def _zip(handle: IO[bytes], where: str, pattern: str, exclude: str | None) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(handle) as archive:
        for info in sorted(archive.infolist(), key=lambda i: i.filename):
            if not info.is_dir() and _wanted(info.filename, info.file_size, where, pattern, exclude):
                # zipfile never reads past the declared size, so that is a true bound.
                yield info.filename, archive.read(info)


def _tar(handle: IO[bytes], where: str, pattern: str, exclude: str | None) -> Iterator[tuple[str, bytes]]:
    # One pass in archive order: seeking in a gzip stream starts over, which made name order quadratic.
    chosen: list[tuple[str, bytes]] = []
    with tarfile.open(fileobj=handle, mode="r|gz") as archive:
        for info in archive:
            if info.isfile() and _wanted(info.name, info.size, where, pattern, exclude):
                stream = archive.extractfile(info)
                assert stream is not None  # isfile() holds
                data = stream.read()
                if len(data) != info.size:
                    raise EOFError(f"{info.name} ends early")
                chosen.append((info.name, data))
    yield from sorted(chosen, key=lambda pair: pair[0])


def _gunzip(data: bytes, where: str) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        text = stream.read(MAX_MEMBER_BYTES + 1)
    if len(text) > MAX_MEMBER_BYTES:
        raise UserError(f"{where}: decompresses to more than {MAX_MEMBER_BYTES} bytes")
    return text
