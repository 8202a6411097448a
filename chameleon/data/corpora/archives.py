"""Read members of wheels, zips and tarballs in memory: nothing is unpacked to disk, nothing is executed.

A pinned package cannot surprise us; a swapped one, or one that a user names, could. What would fill the
memory, lead outside the archive or be read as one thing and stored as another is refused.
"""

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from chameleon.core.errors import UserError, shown

# Of one member, and of all that is read of one archive and the archives inside it, decompressed.
MAX_MEMBER_BYTES = 512 * 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024
# Decompressed bytes per compressed byte: text has up to about 20, a bomb of zeros 1,000. Small files are let
# through: headers, and a few lines that repeat, make any ratio.
MAX_RATIO = 200
SMALL_BYTES = 4 * 1024 * 1024

# RuntimeError: an encrypted zip, an unknown compression. ValueError, IndexError: damaged names.
_DAMAGE = (EOFError, zlib.error, OSError, RuntimeError, ValueError, IndexError)
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, *_DAMAGE)


class _Budget:
    """What may still be read of an archive, counted in decompressed bytes."""

    def __init__(self) -> None:
        self.left = MAX_TOTAL_BYTES

    def take(self, size: int, where: str) -> None:
        """Raise UserError if `size` more bytes are too many."""
        self.left -= size
        if self.left < 0:
            raise UserError(f"{where}: holds more than {MAX_TOTAL_BYTES} bytes of what is asked for")


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
        UserError: the archive is truncated or damaged; no member matches; or one that matches has an unsafe
            name (absolute, with `..`), stands there twice, is a link or a device, or is larger than the
            limits of this module.
    """
    try:
        with open(path, "rb") as handle:
            yield from _read(handle, str(path), pattern, exclude, inside, _Budget())
    except _BROKEN as error:
        reason = f"{error}" or type(error).__name__
        raise UserError(f"{path}: cannot be read as an archive (truncated?): {reason}") from error


def _read(
    handle: IO[bytes], where: str, pattern: str, exclude: str | None, inside: str | None, budget: _Budget
) -> Iterator[tuple[str, bytes]]:
    last = None
    read = _tar if _is_tar(handle) else _zip
    for name, data in read(handle, where, _Choice(where, pattern, exclude, budget)):
        if name == last:
            raise UserError(f"{where}: the member {shown(name)} is there twice; which one is meant?")
        last = name
        if inside is not None:
            yield from _read(io.BytesIO(data), f"{where}:{name}", inside, None, None, budget)
        elif name.endswith(".gz"):
            yield name, _gunzip(data, f"{where}:{name}", budget)
        else:
            yield name, data
    if last is None:
        raise UserError(f"{where}: no member matches {pattern!r}")


def _is_tar(handle: IO[bytes]) -> bool:
    """Tell a gzipped tarball from a zip by its first two bytes."""
    magic = handle.read(2)
    handle.seek(0)
    return magic == b"\x1f\x8b"


class _Choice:
    """Which members are read; refuses those among them that must not be."""

    def __init__(self, where: str, pattern: str, exclude: str | None, budget: _Budget) -> None:
        self._where, self._budget = where, budget
        self._pattern, self._exclude = re.compile(pattern), exclude and re.compile(exclude)

    def takes(self, name: str, size: int, packed: int | None, regular: bool) -> bool:
        """Tell whether a member is asked for; `packed` is its compressed size where the format has one."""
        if not self._pattern.search(name) or (self._exclude and self._exclude.search(name)):
            return False
        path, where = PurePosixPath(name), f"{self._where}: member {shown(name)}"
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise UserError(f"{self._where}: unsafe member name {shown(name)}")
        if not regular:
            raise UserError(f"{where} is a link or a device, not a file; leave it out with `exclude`")
        if size > MAX_MEMBER_BYTES:
            raise UserError(f"{where} is {size} bytes, more than {MAX_MEMBER_BYTES}")
        if packed is not None:
            _check_ratio(size, packed, where)
        self._budget.take(size, self._where)
        return True


def _check_ratio(size: int, packed: int, where: str) -> None:
    """Raise UserError if `packed` bytes that become `size` are a bomb."""
    if size > max(SMALL_BYTES, MAX_RATIO * packed):
        raise UserError(
            f"{where}: {packed} bytes decompress to {size} or more, over {MAX_RATIO} times as many"
        )


def _zip(handle: IO[bytes], where: str, choice: _Choice) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(handle) as archive:
        for info in sorted(archive.infolist(), key=lambda i: i.filename):
            kind = info.external_attr >> 28  # the first four bits of a Unix mode; 0: not packed on Unix
            if not info.is_dir() and choice.takes(
                info.filename, info.file_size, info.compress_size, kind in (0, 8)
            ):
                # zipfile never reads past the declared size, so that is a true bound.
                yield info.filename, archive.read(info)


def _tar(handle: IO[bytes], where: str, choice: _Choice) -> Iterator[tuple[str, bytes]]:
    # One pass in archive order: seeking in a gzip stream starts over, which made name order quadratic.
    chosen: list[tuple[str, bytes]] = []
    with tarfile.open(fileobj=_Metered(handle, where), mode="r|") as archive:
        for info in archive:
            if not info.isdir() and choice.takes(info.name, info.size, None, info.isfile()):
                stream = archive.extractfile(info)
                assert stream is not None  # isfile() holds
                data = stream.read()
                if len(data) != info.size:
                    raise EOFError(f"{info.name} ends early")
                chosen.append((info.name, data))
    yield from sorted(chosen, key=lambda pair: pair[0])


class _Metered(io.RawIOBase):
    """A gzip stream that refuses to be a bomb, in what is skipped and in headers too."""

    def __init__(self, handle: IO[bytes], where: str) -> None:
        super().__init__()
        self._stream, self._where = gzip.GzipFile(fileobj=handle), where
        self._packed = handle.seek(0, io.SEEK_END)
        self._read = 0
        handle.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        data = self._stream.read(size)
        self._read += len(data)
        _check_ratio(self._read, self._packed, self._where)
        return data


def _gunzip(data: bytes, where: str, budget: _Budget) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        text = stream.read(MAX_MEMBER_BYTES + 1)
    if len(text) > MAX_MEMBER_BYTES:
        raise UserError(f"{where}: decompresses to more than {MAX_MEMBER_BYTES} bytes")
    _check_ratio(len(text), len(data), where)
    budget.take(len(text), where)
    return text
