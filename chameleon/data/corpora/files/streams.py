"""From a file to text: decompressed, line by line, as UTF-8. What is wrong is one line with file and line.

A line is bounded, so that a file without line ends, or one that decompresses to endless zeros, cannot fill
the memory.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chameleon.core.errors import UserError

# Of a line of JSON, and of a text or an array that is read whole; both decompressed.
MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_WHOLE_BYTES = 1024 * 1024 * 1024

_BLOCK = 1024 * 1024
# Byte order marks of UTF-16 and of UTF-32, which begins like it.
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    import pyarrow

    # Arrow notices a frame that ends early; other readers of zstd take it for the end of the file.
    stream: Any = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd")
    return io.BufferedReader(stream)


COMPRESSIONS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".zst": _zstd,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Give the decompressed bytes of a file.

    Raises:
        UserError: it cannot be opened, read or decompressed.
    """
    decompress = COMPRESSIONS.get(path.suffix.lower())
    try:
        with open(path, "rb") as raw:
            if decompress is None:
                yield raw
            else:
                with decompress(raw) as handle:
                    yield handle
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        # What decompression has to say about the data comes without a number of the system's.
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        raise UserError(f"{path}: cannot be decompressed (truncated?): {error}") from error


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text) of the lines of a file that are not blank, without their ends.

    Raises:
        UserError: as `text_lines`.
    """
    for number, line in enumerate(text_lines(path, "; rows must be one line each"), start=1):
        text = line.rstrip("\r\n")
        if text and not text.isspace():
            yield number, text


def text_lines(path: Path, remedy: str = "") -> Iterator[str]:
    """Yield all lines of a file with their ends.

    Args:
        path: the file.
        remedy: added to the message about a line that is too long.

    Raises:
        UserError: the file cannot be read; a line is not UTF-8 or longer than MAX_LINE_BYTES.
    """
    number, offset = 0, 0
    with opened(path) as handle:
        while data := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(data) > MAX_LINE_BYTES:
                raise UserError(f"{path}:{number}: longer than {MAX_LINE_BYTES} bytes{remedy}")
            yield decode(data, path, number, offset)
            offset += len(data)


def blocks(path: Path) -> Iterator[str]:
    """Yield the text of a file in blocks of about a megabyte, whatever its size.

    Raises:
        UserError: the file cannot be read or is not UTF-8.
    """
    number, offset, rest = 1, 0, b""
    with opened(path) as handle:
        while data := handle.read(_BLOCK):
            data = rest + data
            # A character may go on in the next block: at most its last three bytes are kept for that.
            cut = len(data)
            while cut > len(data) - 4 and cut > 0 and data[cut - 1] & 0xC0 == 0x80:
                cut -= 1
            cut -= 1 if cut and data[cut - 1] >= 0xC0 else 0
            yield decode(data[:cut], path, number, offset)
            number, offset, rest = number + data.count(b"\n", 0, cut), offset + cut, data[cut:]
    if rest:
        yield decode(rest, path, number, offset)


def whole(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UserError: the file cannot be read, is not UTF-8 or is larger than MAX_WHOLE_BYTES.
    """
    data = bytearray()
    with opened(path) as handle:
        while block := handle.read(_BLOCK):
            data += block
            if len(data) > MAX_WHOLE_BYTES:
                raise UserError(f"{path}: larger than {MAX_WHOLE_BYTES} bytes; make several files of it")
    return decode(data, path)


def decode(data: bytes | bytearray, path: Path, number: int = 1, offset: int = 0) -> str:
    """Return UTF-8 text without a byte order mark.

    Args:
        data: bytes of a file.
        path: the file, for a message.
        number, offset: line and byte of the (decompressed) file that `data` begins at.

    Raises:
        UserError: not UTF-8, with line and byte.
    """
    if offset == 0 and data.startswith(_WIDE):
        raise UserError(f"{path}: is UTF-16 or UTF-32, not UTF-8; `iconv -t UTF-8` converts it")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, byte = number + data.count(b"\n", 0, error.start), f"0x{data[error.start]:02x}"
        raise UserError(f"{path}:{line}: not UTF-8 at byte {offset + error.start} ({byte})") from error
