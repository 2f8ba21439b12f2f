"""An export on the disk: all of its files come to stand in their places, or none does and the old ones stay.

Everything is written into a folder beside the places first, so that a disk that runs full is met there. No link inside the
folder is followed: a rename replaces it. Files of a former export that the new one no longer has are taken away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from grader.errors import UsageFault
from grader.messages import text

LIST = ".gradebook"  # the files of the last export, a line each
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_TAKEN = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|.*\.")  # by Windows
_STAGED = ".new"


def file_name(id: str) -> str:
    """A name for a student's files: the id itself where that is harmless, else something like it and a digest of it.

    No two ids have the same, also where capitals and small letters are one.
    """
    if _PLAIN.fullmatch(id) and not _TAKEN.fullmatch(id):
        return id
    like = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")[:40]
    return f"{like or 'student'}~{hashlib.sha256(id.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


class Export:
    """The files of one export, by their paths in its folder; see `into`."""

    def __init__(self, staged: Path) -> None:
        self._staged = staged
        self.paths: list[str] = []

    def add(self, path: str, content: str) -> None:
        """One more file."""
        place = self._staged / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8", newline="")
        self.paths.append(path)


@contextmanager
def into(folder: Path, kinds: Iterable[str]) -> Iterator[Export]:
    """An export to be filled; when all is there, it is put into its places. Raises UsageFault where the disk refuses.

    kinds: the first parts of the paths that this export is about: of former files, only those may be taken away.
    """
    staged = folder / _STAGED
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(staged, ignore_errors=True)  # of an export that was killed
        staged.mkdir(mode=0o700)
        export = Export(staged)
        yield export
        _place(export, staged, folder, set(kinds))
    except OSError as error:
        said = text("cannot write {file}: {reason}", file=str(folder), reason=error.strerror or str(error))
        raise UsageFault(said, text("what stood there before is still there")) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _place(export: Export, staged: Path, folder: Path, kinds: set[str]) -> None:
    before = _listed(folder)
    stale = [path for path in before if path not in export.paths and PurePosixPath(path).parts[0] in kinds]
    kept = [path for path in before if path not in stale and path not in export.paths]
    listing = "".join(f"{path}\n" for path in sorted([*kept, *export.paths]))
    (staged / LIST).write_text(listing, encoding="utf-8")
    for parent in sorted({parent for path in export.paths for parent in PurePosixPath(path).parents}):
        if (folder / parent).is_symlink() and parent.parts:
            (folder / parent).unlink()
        (folder / parent).mkdir(exist_ok=True)
    for path in [*export.paths, LIST]:
        os.replace(staged / path, folder / path)
    for path in stale:
        with suppress(OSError):
            (folder / path).unlink()
            (folder / path).parent.rmdir()  # once it is empty


def _listed(folder: Path) -> list[str]:
    """The files of the last export; nothing outside of the folder, whatever the list says."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if line and not {"..", "/"} & set(PurePosixPath(line).parts)]
