"""A release is put into a folder, over a former one if need be, and nothing that its learner wrote is lost.

`.gradkata-release.toml` holds the digest of every file of the release. What differs from it on disk is the learner's:

- a stub stays, and the new one is written beside it, as `lstm.new.py`, if it has changed since the former release; so does
  a notebook;
- of a renamed kata, the learner's file is copied to the new name;
- anything else, such as an edited suite, makes way for the new one and is kept beside it, as `test_lstm.py.bak`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from grader import __version__
from grader.authoring.making.stubs import free_name
from grader.course import Course
from grader.errors import CourseFault, Fault, UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.writing import write

RECORD = ".gradkata-release.toml"
_ADMITTED = {".git"}  # what an empty folder may hold

Digests = dict[str, str]  # by path in the release


def place(files: Mapping[str, bytes], out: Path, course: Course) -> tuple[list[str], list[Message]]:
    """Write the files into `out`; returns the paths that were written or removed, and what there is to tell the learner.

    Raises UsageFault, before anything is written, where `out` is neither empty nor a former release.
    """
    former = _former(out, course)
    _hold_inside(out, [*files, *former])
    placing = _Placing(out, former)
    stubs = {path: kata for kata in course.katas for path in files if _is_filled_in(PurePosixPath(path), kata)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            if path in stubs:
                placing.stub(path, content, stubs[path])
            else:
                placing.file(path, content)
        placing.drop(former.keys() - files.keys())
        placing.file(RECORD, _record(files).encode(), known=True)
    except OSError as error:
        raise UsageFault(
            text("cannot write {file}: {reason}", file=str(error.filename or out), reason=error.strerror)
        ) from None
    return placing.touched, placing.notices


def _is_filled_in(path: PurePosixPath, kata: Kata) -> bool:
    """Whether a learner writes into it: the stub, and the kata as a notebook."""
    return path.parent.name == kata.id and (path.name == kata.stub.name or path.suffix == ".ipynb")


class _Placing:
    """One folder under upgrade."""

    def __init__(self, out: Path, former: Digests) -> None:
        self.touched: list[str] = []
        self.notices: list[Message] = []
        self._out = out
        self._former = former

    def file(self, path: str, content: bytes, known: bool = False) -> None:
        """Write a file; an edited one in its place is kept beside it."""
        target = self._out / path
        present = _digest_of(target)
        if present == _digest(content):
            return
        if os.path.lexists(target) and not known and present != self._former.get(path):
            saved = free_name(target)
            target.rename(saved)
            self.notices.append(text("{file} is new; yours is kept as {saved}", file=path, saved=saved.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, content)
        self.touched.append(path)

    def stub(self, path: str, content: bytes, kata: Kata) -> None:
        """Write a stub, unless the learner has one: then only what has changed since is written, beside it."""
        known_as, mine = path, self._out / path
        if mine.name == kata.stub.name and not os.path.lexists(mine) and (old := self._renamed(kata)) is not None:
            known_as = old
            mine.parent.mkdir(parents=True, exist_ok=True)
            mine.write_bytes((self._out / old).read_bytes())
            self.touched.append(path)
            self.notices.append(text("{old} is now {file}: what you wrote is there; a copy stays", old=old, file=path))
        if not os.path.lexists(mine) or _digest_of(mine) in (self._former.get(known_as), _digest(content)):
            self.file(path, content, known=True)
            return
        if known_as in self._former and self._former[known_as] != _digest(content):
            beside = mine.with_name(f"{mine.stem}.new{mine.suffix}").relative_to(self._out)
            self.file(beside.as_posix(), content, known=_digest_of(self._out / beside) == self._former.get(path, ""))
            changed = "{file} is yours and stays; the stub has changed: see {new}"
            self.notices.append(text(changed, file=path, new=beside.name))

    def drop(self, paths: Iterable[str]) -> None:
        """Remove what the release no longer has, where it is as the former one left it."""
        for path in sorted(paths):
            target = self._out / path
            if _digest_of(target) == self._former[path]:
                target.unlink()
                self.touched.append(path)
                while target.parent != self._out and not any(target.parent.iterdir()):
                    target = target.parent
                    target.rmdir()

    def _renamed(self, kata: Kata) -> str | None:
        """The learner's own file of a kata that had another name in the former release."""
        for path in self._former:
            parts = PurePosixPath(path).parts
            if len(parts) != 3 or parts[0] != "katas" or parts[2] != f"{parts[1].partition('_')[2]}.py":
                continue
            named = {parts[1], parts[1].partition("_")[2]} & set(kata.aliases)
            if named and _digest_of(self._out / path) not in ("", self._former[path]):
                return path
        return None


def _former(out: Path, course: Course) -> Digests:
    """What the release that is there wrote; nothing for a folder that is empty or not there."""
    here, root = out.resolve(), course.root.resolve()
    inner = [root / name for name in ("katas", "reference", "grader", "tests", ".git")]
    if here == root or here in root.parents or any(here.is_relative_to(folder) for folder in inner):
        raise UsageFault(
            text("{folder} is a part of the course itself", folder=str(out)),
            text("name another folder, which is empty or not there"),
        )
    if not os.path.lexists(out):
        return {}
    if not out.is_dir():
        raise UsageFault(text("{folder} is not a folder", folder=str(out)))
    record = out / RECORD
    if not os.path.lexists(record):
        if {path.name for path in out.iterdir()} <= _ADMITTED:
            return {}
        raise UsageFault(
            text("{folder} is neither empty nor a former release", folder=str(out)),
            text("name a folder that is empty or not there"),
        )
    try:
        files = tomllib.loads(record.read_text(encoding="utf-8"))["files"]
        if not all(type(digest) is str and _is_inside(path) for path, digest in files.items()):
            raise ValueError("a path that leads out of the release")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CourseFault([Fault(str(record), wanted=text("cannot be read: {reason}", reason=str(error)))]) from None
    return dict(files)


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path and parts.parts[:1] != (".git",)


def _hold_inside(out: Path, paths: Iterable[str]) -> None:
    """Raises UsageFault where a link would lead a path out of the folder."""
    folders = {
        out.joinpath(*parts[:count]) for path in paths if (parts := path.split("/")) for count in range(1, len(parts))
    }
    for folder in sorted(folders):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise UsageFault(
                text("{folder} is not a folder of its own", folder=str(folder)), text("remove it, and release again")
            )


def _record(files: Mapping[str, bytes]) -> str:
    head = f'# Written by `grade release`: what is as it was here may be replaced by a newer release.\ngrader = "{__version__}"\n\n[files]\n'
    return head + "".join(f'"{path}" = "{_digest(content)}"\n' for path, content in sorted(files.items()))


def _digest(content: bytes) -> str:
    return sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _digest_of(path: Path) -> str:
    """The digest of a file's content, whichever line ends a checkout chose; "" where there is no regular file."""
    return _digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else ""
