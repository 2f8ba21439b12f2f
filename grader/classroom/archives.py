"""Archives, read without trust: in memory, member by member, and never written anywhere.

A zip or a tar, also packed with gzip or bzip2, gives the members whose bytes are wanted and remarks on the others. What it
claims of sizes is not believed: all limits are on bytes that came out. Links, devices and names that lead out of the
archive are left out with a remark; members whose names differ in case alone, or not at all, are all given, with a remark.

Zip and tar come from Python's own `zipfile` and `tarfile`; `_Limited` holds what these may read at a time, so that neither
a directory of a million members nor a header of a gigabyte takes memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from grader.limits import MIB
from grader.messages import Message, text
from grader.scorecard.visible import LINE, visible
from grader.submission import MAX_BYTES, Problem, Submission
from grader.submission import of as submission_of

LIST = "submission_metadata.yml"  # Gradescope's, of whose each submission is
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz")
UNREAD = (".rar", ".7z", ".xz", ".txz", ".zst", ".gz", ".bz2")  # archives that are told of and not read
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
_LONGEST_NAME = 1024
DEEPEST = 32  # folders in folders
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError,
           NotImplementedError, RuntimeError, MemoryError, OverflowError, UnicodeError, IndexError)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What one archive may hold. A student's stands within the class's, and an archive in a student's is not opened."""

    packed: int  # bytes of the archive itself
    members: int
    unpacked: int  # bytes, of all that is taken out together
    at_once: int  # bytes that the directory of a zip or a header of a tar may take


STUDENTS = Limits(packed=64 * MIB, members=10_000, unpacked=64 * MIB, at_once=4 * MIB)
CLASSES = Limits(packed=8192 * MIB, members=500_000, unpacked=8192 * MIB, at_once=64 * MIB)


@dataclass(frozen=True)
class Member:
    """A file that was handed in, in a folder or an archive.

    parts: of its path; read: its bytes, or what is wrong with them, where they are wanted; None where nobody looks at them
    problem: why it is not read at all; note: what else is to be told of it; folder: it is one, and what is in it follows
    time: when it was last changed, ISO 8601 in UTC; "" where that is not known
    """

    parts: tuple[str, ...]
    read: Submission | None = None
    problem: Message | None = None
    note: Message | None = None
    time: str = ""
    folder: bool = False


def shown(parts: tuple[str, ...]) -> str:
    """A path as text that can be printed, whatever a learner called the file."""
    return visible("/".join(parts), 4 * LINE)


class _TooMuch(Exception):
    """A limit, in words."""

    def __init__(self, said: Message) -> None:
        self.said = said


class _Limited(io.RawIOBase):
    """A file of which no more than `at_once` bytes are read at a time, and no more than `total` in all."""

    def __init__(self, file: BinaryIO, at_once: int, total: int | None = None) -> None:
        self._file, self._at_once, self._left = file, at_once, total

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._at_once:
            found = self._file.read(self._at_once + 1)
            if len(found) > self._at_once:
                raise _TooMuch(text("{file} has a directory or header that is too large"))
        else:
            found = self._file.read(size)
        if self._left is not None:
            self._left -= len(found)
            if self._left < 0:
                raise _TooMuch(text("{file} holds too much: it grows without end as it is unpacked"))
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    def readable(self) -> bool:
        return True


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive that is read."""
    return name.lower().endswith(SUFFIXES)


def unpack(file: BinaryIO, within: tuple[str, ...], limits: Limits) -> Iterator[Member]:
    """The files of an archive, their paths below `within`; the last of them says what is wrong with it, if anything is.

    An archive in it is opened where `limits` are the class's. `file` can be sought in.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        if size > limits.packed:
            large = "{file} holds {size:,.0f} MiB, and no more than {most:,} MiB are read"
            raise _TooMuch(text(large, size=size / MIB, most=limits.packed // MIB))
        yield from _unpacked(file, within, limits)
    except _TooMuch as over:
        yield Member(within, problem=_filled(over.said, within))
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        said = text("{file} cannot be read to its end: {reason}", file=shown(within), reason=visible(reason))
        yield Member(within, problem=said)


def _unpacked(file: BinaryIO, within: tuple[str, ...], limits: Limits) -> Iterator[Member]:
    seen: dict[str, str] = {}
    left = limits.unpacked
    for count, entry in enumerate(_entries(file, limits), 1):
        if count > limits.members:
            raise _TooMuch(text("{file} has more than {most:,} members, and no more are read", most=limits.members))
        parts, problem = _place(entry.name)
        where, problem = (*within, *parts), problem or entry.problem
        if problem is not None:
            yield Member(where, problem=_filled(problem, where))
            continue
        if entry.folder:
            yield Member(where, folder=True)
            continue
        folded = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if folded in seen:
            twice = text("{file} is in its archive twice, or beside {other}, which is the same to other systems",
                         file=shown(where), other=visible(seen[folded]))  # fmt: skip
            yield Member(where, note=twice)
        seen.setdefault(folded, entry.name)
        if is_archive(parts[-1]) and limits is CLASSES:
            content = entry.read(STUDENTS.packed)
            left -= len(content)
            yield from unpack(io.BytesIO(content), where, STUDENTS)
        elif wanted(parts[-1]):
            content = entry.read(room(parts[-1]))
            left -= len(content)
            yield Member(where, taken(content, where), time=entry.time)
        else:
            yield Member(where, time=entry.time)
        if left < 0:
            over = "{file} holds more than {most:,} MiB unpacked, and no more is read"
            raise _TooMuch(text(over, most=limits.unpacked // MIB))


def wanted(name: str) -> bool:
    """Whether the bytes of a file are looked at, by its name."""
    return name.lower().endswith((".py", ".py.txt")) or name == LIST


def room(name: str) -> int:
    """How many bytes of a file are read."""
    return 16 * MIB if name == LIST else MAX_BYTES


def taken(content: bytes, parts: tuple[str, ...]) -> Submission:
    """The bytes of a file, of which no more than its room and one were read, as a submission or as what is wrong with it."""
    if len(content) <= room(parts[-1]):
        return submission_of(content, shown(parts))
    said = text("{file} holds more than 1 MiB, and no more is read", file=shown(parts))
    return Submission("", Path(), shown(parts), problem=Problem(said))


def _filled(said: Message, parts: tuple[str, ...]) -> Message:
    return text(said.code, file=shown(parts), **said.args)


def _place(name: str) -> tuple[tuple[str, ...], Message | None]:
    """The parts of a member's name, and what is wrong with it."""
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if not parts or ".." in parts or name.startswith(("/", "\\")) or drive:
        return (name[:_LONGEST_NAME],), text("{file} leads out of its archive, and is left out")
    if len(name) > _LONGEST_NAME or len(parts) > DEEPEST or not name.isprintable():
        said = text("{file} is left out: its name is too long or too deep, or has signs that no name should have")
        return (name[:100],), said
    return parts, None


@dataclass
class _Entry:
    """One member as its archive tells of it; `read` gives at most so many bytes and one more."""

    name: str
    time: str
    problem: Message | None
    folder: bool
    archive: zipfile.ZipFile | tarfile.TarFile
    info: zipfile.ZipInfo | tarfile.TarInfo

    def read(self, most: int) -> bytes:
        if isinstance(self.archive, zipfile.ZipFile):
            assert isinstance(self.info, zipfile.ZipInfo)
            with self.archive.open(self.info) as stream:
                return stream.read(most + 1)
        assert isinstance(self.info, tarfile.TarInfo)
        stream_ = self.archive.extractfile(self.info)
        return stream_.read(most + 1) if stream_ is not None else b""


def _entries(file: BinaryIO, limits: Limits) -> Iterator[_Entry]:
    """What is in a zip or a tar."""
    head = file.read(4)
    file.seek(0)
    if head[:2] == b"PK":
        yield from _of_zip(file, limits)
        return
    stream: BinaryIO = file
    if head[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    elif head[:3] == b"BZh":
        stream = bz2.BZ2File(file)  # type: ignore[assignment]
    yield from _of_tar(_Limited(stream, limits.at_once, limits.unpacked))


def _of_zip(file: BinaryIO, limits: Limits) -> Iterator[_Entry]:
    with zipfile.ZipFile(_Limited(file, limits.at_once)) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            problem = None
            if info.flag_bits & 1:
                problem = text("{file} is encrypted")
            elif info.compress_type not in _METHODS:
                problem = text("{file} is packed in a way that is not read")
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                problem = text("{file} is a link or no regular file, and is left out")
            yield _Entry(info.orig_filename, _local(info.date_time), problem, info.is_dir(), archive, info)


def _of_tar(file: _Limited) -> Iterator[_Entry]:
    with tarfile.open(fileobj=file, mode="r|", bufsize=tarfile.BLOCKSIZE * 20) as archive:
        for info in archive:
            plain = info.isreg() or info.isdir()
            problem = None if plain else text("{file} is a link or no regular file, and is left out")
            yield _Entry(info.name, since_1970(info.mtime), problem, info.isdir(), archive, info)
            archive.members = []  # type: ignore[attr-defined] # what was seen is not kept


def since_1970(seconds: float) -> str:
    """A moment as ISO 8601 in UTC; "" for what is no moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _local(when: tuple[int, ...]) -> str:
    """A zip tells the time of the machine that made it, without its zone: taken as this machine's."""
    try:
        return datetime(*when[:6]).astimezone(UTC).isoformat(timespec="seconds")  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        return ""
