"""A learner's file, read once and without trust: whatever it is, the answer is bytes or a problem, never an exception.

No link is followed below the folder that was named, nothing but a regular file is read, and no more of it than 1 MiB.
All that is judged later is judged on these bytes, so swapping the file afterwards changes nothing.

Syntax is left to the worker, which compiles as its first act, inside its limits. One MiB of hostile source was measured
to take `compile` 4.2 s and 640 MB on Python 3.11 (`a<a<a...`; 1.2 GB on 3.13), and could take down the process that
judges everybody. Where the worker names a line, `Submission.line` shows it from the bytes that were read.
"""

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text

MAX_BYTES = 1 << 20
_MOST_NEAR = 3  # names of files that may be the one that is missing
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_STEPWISE = os.open in os.supports_dir_fd
_NOT_A_FILE = text("{file} is not a regular file")
_SAVE_AS = text("save it as UTF-8 text in your editor")


@dataclass(frozen=True)
class Problem:
    """Why a submission is not run: a verdict in the learner's words, with the line where there is one."""

    said: Message
    help: Message | None = None
    line: int | None = None
    verdict: str = "error"

    @property
    def message(self) -> str:
        """In English."""
        return str(self.said)


@dataclass(frozen=True)
class Submission:
    """One learner's file for one kata: its source, or the problem with it. `sha256` is "" when nothing was read."""

    kata_id: str
    path: Path
    display_path: str
    source: bytes | None = None
    sha256: str = ""
    problem: Problem | None = None

    @property
    def text(self) -> str:
        """The source without its byte-order mark; line ends as they are."""
        return (self.source or b"").decode("utf-8-sig")

    def line(self, number: int) -> str:
        """Line `number`, from 1, without its end and indentation; "" where there is none."""
        lines = (self.source or b"").removeprefix(codecs.BOM_UTF8).splitlines()
        return lines[number - 1].decode().strip() if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Typed:
    """What stands in place of a file, such as the cell of a notebook, and what it is called where a line is named."""

    text: str
    shown: str


class _Refused(Exception):
    """Why the file is not taken; the sentence has a field for its name, `{file}`."""

    def __init__(self, said: Message, help: Message | None = None, line: int | None = None) -> None:
        self.said, self.help, self.line = said, help, line

    def problem(self, display_path: str) -> Problem:
        where = display_path if self.line is None else f"{display_path}:{self.line}"
        return Problem(text(self.said.code, file=where, **self.said.args), self.help, self.line)


def read(kata: Kata, source_dir: Path | None, course: Course) -> Submission:
    """The learner's file for `kata`: in the course, or as `<id>/<slug>.py` or else `<slug>.py` in `source_dir`.

    Raises UsageFault when `source_dir` is no folder, and nothing else.
    """
    file = f"{kata.slug}.py"
    places: list[tuple[str, ...]]
    if source_dir is None:
        root, shown, places = course.root / "katas", Path("katas"), [(kata.id, file)]
        help = text("bring the stub back with: git checkout -- katas/{kata}/{stub}", kata=kata.id, stub=file)
    elif source_dir.is_dir():
        root, shown, places = source_dir.absolute(), source_dir, [(kata.id, file), (file,)]
        help = text("put it there as {kata}/{stub} or {stub}", kata=kata.id, stub=file)
    else:
        raise UsageFault(
            text("{folder} is not a folder", folder=str(source_dir)),
            text("name the folder that holds the learners' files"),
        )

    for place in places:
        if (found := at(root, place, shown, kata.id)) is not None:
            return found
    path, display_path = root.joinpath(*places[0]), _printable(shown.joinpath(*places[0]))
    said = text("{file} is missing", file=display_path)
    if near := [_printable(shown / each) for place in places for each in _misnamed(kata, root, place[:-1], course)]:
        said = text("{file} is missing, and {near} stands there", file=display_path, near=near)
        help = text("name it {file}, if that is your answer", file=file)
    return Submission(kata.id, path, display_path, problem=Problem(said, help))


def _misnamed(kata: Kata, root: Path, place: tuple[str, ...], course: Course) -> list[Path]:
    """Files in a folder that look like the one that is missing: `LSTM.py`, `lstm (1).py`, `lstm_final.py`, `my_lstm.py`."""
    word = re.compile(rf"(?<![a-z0-9]){kata.slug}(?![a-z])")
    others = {f"{each.slug}.py" for each in course.katas} | {f"test_{each.slug}.py" for each in course.katas}
    try:
        names = sorted(os.listdir(root.joinpath(*place)))
    except OSError:
        return []
    found = [name for name in names if name.lower().endswith(".py") and name not in others]
    return [Path(*place, name) for name in found if word.search(name[:-3].lower().replace("-", "_"))][:_MOST_NEAR]


def at(root: Path, place: tuple[str, ...], shown: Path, kata_id: str = "") -> Submission | None:
    """The file at `place` below `root`, which is called `shown` where a path is shown; None where there is none."""
    path, display_path = root.joinpath(*place), _printable(shown.joinpath(*place))
    try:
        return of(_content(root, place), display_path, path, kata_id)
    except FileNotFoundError:
        return None
    except _Refused as refused:
        return Submission(kata_id, path, display_path, problem=refused.problem(display_path))


def of(content: bytes, display_path: str, path: Path | None = None, kata_id: str = "") -> Submission:
    """Bytes that were read elsewhere, such as from an archive, as if they had been read from a file."""
    path, digest = path or Path(display_path), sha256(content).hexdigest()
    try:
        _check(content)
    except _Refused as refused:
        return Submission(kata_id, path, display_path, None, digest, refused.problem(display_path))
    return Submission(kata_id, path, display_path, content, digest)


def typed(kata: Kata, given: Typed) -> Submission:
    """What was typed, taken for the learner's file for `kata`."""
    content = given.text.encode("utf-8", "surrogatepass")
    digest = sha256(content).hexdigest()
    try:
        if len(content) > MAX_BYTES:
            raise _too_large(len(content))
        _check(content)
    except _Refused as refused:
        return Submission(kata.id, kata.stub, given.shown, None, digest, refused.problem(given.shown))
    return Submission(kata.id, kata.stub, given.shown, content, digest)


def _too_large(size: int) -> _Refused:
    return _Refused(text("{file} holds {size:,.1f} MiB, and no more than 1 MiB is read", size=size / 2**20))


def _content(root: Path, place: tuple[str, ...]) -> bytes:
    """The bytes of a small regular file; raises FileNotFoundError, or _Refused with the reason."""
    try:
        descriptor = _open(root, place)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _reason(root, place, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Refused(_NOT_A_FILE)
        if status.st_size > MAX_BYTES:
            raise _too_large(status.st_size)
        content = b""
        while len(content) <= MAX_BYTES and (piece := os.read(descriptor, MAX_BYTES + 1 - len(content))):
            content += piece
        if len(content) > MAX_BYTES:
            raise _Refused(text("{file} grew past 1 MiB while it was read"))
        return content
    except OSError as error:
        raise _reason(root, place, error) from None
    finally:
        os.close(descriptor)


def _open(root: Path, place: tuple[str, ...]) -> int:
    """A descriptor of the file, each step below `root` taken without following a link."""
    if not _STEPWISE:  # Windows: look, then open
        if _link(root, place):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(root.joinpath(*place), _FILE)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for step, flags in zip(place, [*[os.O_RDONLY | os.O_DIRECTORY] * (len(place) - 1), _FILE], strict=True):
        try:
            there = os.open(step, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)
        here = there
    return here


def _link(root: Path, place: tuple[str, ...]) -> str:
    """The first step of `place` that is a link, or ""."""
    steps = (Path(*place[: count + 1]) for count in range(len(place)))
    return next((step.as_posix() for step in steps if root.joinpath(step).is_symlink()), "")


def _reason(root: Path, place: tuple[str, ...], error: OSError) -> _Refused:
    if link := _link(root, place):
        return _Refused(
            text("{file} is not read, because {link} is a link", link=link), text("put the file itself there")
        )
    if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):  # how a socket answers
        return _Refused(_NOT_A_FILE)
    return _Refused(text("{file} cannot be read: {reason}", reason=(error.strerror or "unknown reason").lower()))


def _check(content: bytes) -> None:
    """Refuses what no Python source can be; whether it is Python is for the worker to find out."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _Refused(text("{file} is UTF-16 text"), _SAVE_AS)
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise _Refused(text("{file} is empty"))
    if (position := content.find(0)) >= 0:
        raise _Refused(
            text("{file} has a NUL byte at position {position}", position=position),
            _SAVE_AS,
            _line_of(content, position),
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        byte, position = f"0x{content[error.start]:02x}", error.start
        found = text("{file} has byte {byte} at position {position}, which is not UTF-8", byte=byte, position=position)
        raise _Refused(found, _SAVE_AS, _line_of(content, error.start)) from None


def _line_of(content: bytes, position: int) -> int:
    return len((content[:position] + b".").splitlines())


def _printable(path: Path) -> str:
    """The path as text that can be printed, also where its bytes are no UTF-8."""
    return os.fsencode(path.as_posix()).decode(errors="backslashreplace")
