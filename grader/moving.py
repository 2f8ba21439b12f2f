"""What `.grade/` knows of a learner, in one file to take to another machine: attempts, notes, and copies of their files.

The file is a zip: `progress.json`, and `copies/<kata>/<name>.py`. What is read from it is held to a form, and added to what
is there: nothing is replaced, and nothing counted twice.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

import msgspec

from grader import copies
from grader.course import Course
from grader.errors import UsageFault
from grader.messages import text
from grader.store import Attempt, Note, Store
from grader.submission import MAX_BYTES
from grader.writing import in_place_of

_PROGRESS = "progress.json"
_COPY = re.compile(r"copies/(?P<kata>\d{2,3}_[a-z0-9_]+)/(?P<name>\d{8}-\d{6}-\d{6}\.py)")
_MOST = 64 << 20  # bytes of progress
_MOST_COPIES = 10_000


class _Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the store has, but for results, which are judged again anywhere."""

    attempts: tuple[Attempt, ...]
    notes: tuple[Note, ...]
    format_version: Annotated[int, msgspec.Meta(ge=1)] = 1


class Moved(msgspec.Struct, frozen=True):
    """How much there was, or was new."""

    attempts: int
    copies: int


def export(course: Course, store: Store, path: Path) -> Moved:
    """Write the file. Raises UsageFault where something stands there already, or it cannot be written."""
    if path.exists():
        raise UsageFault(text("{file} is there already", file=str(path)), text("give another name, or move it away"))
    progress = _Progress(tuple(store.all_attempts()), tuple(store.all_notes()))
    kept = [(kata, copy) for kata in course.katas for copy in copies.of(course, kata)]
    try:
        with in_place_of(path) as beside:
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(_PROGRESS, msgspec.json.format(msgspec.json.encode(progress), indent=1))
                for kata, copy in kept:
                    archive.write(copy, f"copies/{kata.id}/{copy.name}")
            path.open("xb").close()  # fails where something came there meanwhile; a stick may know no links
    except OSError as error:
        raise UsageFault(
            text("cannot write {file}: {reason}", file=str(path), reason=error.strerror or str(error)),
            text("name a path that can be written"),
        ) from None
    return Moved(len(progress.attempts), len(kept))


def take_in(course: Course, store: Store, path: Path) -> Moved:
    """Add what such a file holds. Raises UsageFault, having changed nothing, where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            progress = msgspec.json.decode(_read(archive, _PROGRESS, _MOST), type=_Progress)
            if progress.format_version > 1:
                raise UsageFault(
                    text("{file} was made by a newer grader", file=str(path)), text("upgrade gradkata, and try again")
                )
            names = [name for name in archive.namelist() if name != _PROGRESS]
            if len(names) > _MOST_COPIES:
                raise ValueError(f"{len(names)} files")
            found = {name: _read(archive, name, MAX_BYTES) for name in names if _COPY.fullmatch(name)}
    except FileNotFoundError:
        raise UsageFault(
            text("there is no file {file}", file=str(path)), text("`grade export` writes one, on the other machine")
        ) from None
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise UsageFault(
            text("{file} is not what `grade export` writes: {error}", file=str(path), error=str(error)),
            text("nothing was changed"),
        ) from None
    added = sum(copies.put(course, *_parts(name), content) for name, content in found.items())
    return Moved(store.merge(progress.attempts, progress.notes), added)


def _parts(name: str) -> tuple[str, str]:
    match = _COPY.fullmatch(name)
    assert match
    return match["kata"], match["name"]


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of the archive, whatever size it claims to have. Raises ValueError where it is larger than `most`."""
    with archive.open(name) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than {most} bytes")
    return content
