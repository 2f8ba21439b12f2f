"""The files below a folder, or in an archive, that a class handed in: one stream of members, whoever delivered them.

No link is followed, only regular files are opened, and what machines leave beside a learner's work is passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from grader import submission
from grader.classroom import archives
from grader.classroom.archives import (
    CLASSES,
    LIST,
    STUDENTS,
    Member,
    is_archive,
    room,
    shown,
    since_1970,
    taken,
    unpack,
    wanted,
)
from grader.errors import UsageFault
from grader.machine import words
from grader.messages import text

PASSED_OVER = frozenset(
    [".git", ".grade", ".idea", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".svn", ".venv",
     ".vscode", "__MACOSX", "__pycache__", "node_modules", "site-packages", "venv"]
)  # fmt: skip
_FILE = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def members(source: Path) -> Iterator[Member]:
    """All that was handed in, by name. Raises UsageFault where `source` is neither a folder nor an archive."""
    if source.is_dir():
        found: Iterator[Member] = _folder(source, ())
    elif source.is_file() and is_archive(source.name):
        found = _archive(source, (), archives.CLASSES)
    else:
        raise UsageFault(
            text("{path} is neither a folder nor an archive", path=str(source)),
            text("name a folder with a folder or an archive for each student, or a zip or tar of it"),
        )
    return (member for member in found if not _passed_over(member))


def _passed_over(member: Member) -> bool:
    name = member.parts[-1] if member.parts else ""
    return bool(PASSED_OVER & set(member.parts)) or name.startswith("._") or name in (".DS_Store", "Thumbs.db")


def _folder(root: Path, place: tuple[str, ...]) -> Iterator[Member]:
    """The files of the class's folder: of each of its children no more than an archive of a student's may hold."""
    try:
        children = sorted(os.scandir(root), key=lambda child: child.name)
    except OSError as error:
        raise UsageFault(
            text("{path} cannot be read: {reason}", path=str(root), reason=words(error)),
            text("give yourself the right to read it"),
        ) from None
    for child in children:
        for count, member in enumerate(_child(root, child, place), 1):
            if count > STUDENTS.members:
                said = "{file} has more than {most:,} files, and no more are read"
                yield Member((child.name,), problem=text(said, file=shown((child.name,)), most=STUDENTS.members))
                break
            yield member


def _child(root: Path, child: os.DirEntry[str], place: tuple[str, ...]) -> Iterator[Member]:
    """One entry of a folder, and all below it."""
    parts = (*place, child.name)
    if child.name in PASSED_OVER:
        return
    try:
        if child.is_symlink():
            yield Member(parts, problem=text("{file} is a link, and is not followed", file=shown(parts)))
        elif child.is_dir(follow_symlinks=False):
            yield Member(parts, folder=True)
            if len(parts) > archives.DEEPEST:
                yield Member(parts, problem=text("{file} lies too deep, and is not read", file=shown(parts)))
                return
            for below in sorted(os.scandir(child.path), key=lambda each: each.name):
                yield from _child(root, below, parts)
        elif not child.is_file(follow_symlinks=False):
            yield Member(parts, problem=text("{file} is not a regular file", file=shown(parts)))
        elif is_archive(child.name):
            yield from _archive(Path(child.path), parts, STUDENTS)
        else:
            time = since_1970(child.stat(follow_symlinks=False).st_mtime)
            yield Member(parts, _read(root, parts) if wanted(child.name) else None, time=time)
    except OSError as error:
        said = text("{file} cannot be read: {reason}", file=shown(parts), reason=words(error))
        yield Member(parts, problem=said)


def _read(root: Path, parts: tuple[str, ...]) -> submission.Submission | None:
    if parts[-1] != LIST:
        return submission.at(root, parts, Path())
    with open(os.open(root.joinpath(*parts), _FILE), "rb") as file:
        return taken(file.read(room(LIST) + 1), parts)


def _archive(path: Path, parts: tuple[str, ...], limits: archives.Limits) -> Iterator[Member]:
    try:
        descriptor = os.open(path, _FILE if limits is not CLASSES else _FILE & ~getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield Member(parts, problem=text("{file} is not a regular file", file=shown(parts)))
                return
            yield from unpack(file, parts, limits)
    except OSError as error:
        said = text("{file} cannot be read: {reason}", file=shown(parts), reason=words(error))
        yield Member(parts, problem=said)
