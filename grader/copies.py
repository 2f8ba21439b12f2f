"""Copies of learners' files, in `.grade/copies/` of the course: whatever replaces one keeps one first."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.writing import write


def replace(course: Course, kata: Kata, content: bytes) -> Path | None:
    """Put `content` in the place of the learner's file, in one step; returns the copy of what was there, if anything was.

    Raises UsageFault where the disk is in the way; then the file is as it was.
    """
    try:
        copy = _kept(course, kata)
        write(kata.stub, content)
    except OSError as error:
        raise UsageFault(
            text("{file} cannot be replaced: {error}", file=str(kata.stub), error=error.strerror or str(error)),
            text("nothing was changed"),
        ) from None
    return copy


def of(course: Course, kata: Kata) -> list[Path]:
    """The copies of a kata's file that are kept, oldest first."""
    return sorted(_folder(course, kata).glob("*.py"), key=lambda path: path.name)


def put(course: Course, kata: str, name: str, content: bytes) -> bool:
    """Keep a copy that was made elsewhere; False where one of this name is there, which stays as it is."""
    folder = course.root / ".grade" / "copies" / kata
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageFault(
            text("{file} cannot be written: {error}", file=str(folder / name), error=error.strerror or str(error)),
            text("what is there was not changed"),
        ) from None
    return True


def newest(course: Course, kata: Kata) -> Path | None:
    """The copy that was kept last; None where there is none."""
    return next(reversed(of(course, kata)), None)


def take_back(course: Course, kata: Kata) -> Path | None:
    """Put the newest copy in its place again, and keep what stands there in its stead: a second time undoes the first.

    Returns the copy that was put back; None where there is none.
    """
    copy = newest(course, kata)
    if copy is None:
        return None
    content = copy.read_bytes()
    replace(course, kata, content)
    copy.unlink(missing_ok=True)
    return copy


def _kept(course: Course, kata: Kata) -> Path | None:
    if not kata.stub.is_file():
        return None
    content, folder = kata.stub.read_bytes(), _folder(course, kata)
    folder.mkdir(parents=True, exist_ok=True)
    name = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    copy = folder / f"{name}.py"
    with copy.open("xb") as stream:
        stream.write(content)
    return copy


def _folder(course: Course, kata: Kata) -> Path:
    return course.root / ".grade" / "copies" / kata.id
