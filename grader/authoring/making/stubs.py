"""The stubs of a course, written from its references, and never over what somebody else wrote.

A stub is replaced where it is known to be generated: it was the last thing that `grade stub` wrote, or it is the stub of
the reference that git has. Everything else may be somebody's work, so it is first moved aside.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grader.course import Course
from grader.errors import CourseFault, Fault, UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.store import Store, key
from grader.stub import generated, is_in_step
from grader.writing import write as write_file


@dataclass(frozen=True)
class Pending:
    """A stub that is not in step. `saved_as` is where the file that is in its way goes, if it may be somebody's work."""

    kata: Kata
    text: str
    saved_as: Path | None = None

    @property
    def shown(self) -> str:
        return f"katas/{self.kata.id}/{self.kata.stub.name}"


def pending(course: Course, katas: Iterable[Kata], store: Store) -> list[Pending]:
    """The stubs that are not in step; raises CourseFault with every fault of every reference."""
    found: list[Pending] = []
    faults: list[Fault] = []
    for kata in katas:
        try:
            text = generated(course, kata)
            if not kata.stub.is_symlink() and kata.stub.is_file():
                present = kata.stub.read_bytes()
                if present.replace(b"\r\n", b"\n") == text.replace("\r\n", "\n").encode():
                    remember(kata.id, present, store)
                    continue
                replaceable = _is_generated(course, kata, present, store)
            else:
                replaceable = not os.path.lexists(kata.stub)
            found.append(Pending(kata, text, None if replaceable else free_name(kata.stub)))
        except CourseFault as fault:
            faults += fault.faults
    if faults:
        raise CourseFault(faults)
    return found


def write(stub: Pending, store: Store) -> None:
    """Put the stub in its place, in one step, once what was there is saved."""
    path, content = stub.kata.stub, stub.text.encode()
    try:
        if stub.saved_as is not None:
            path.rename(stub.saved_as)
        write_file(path, content)
    except OSError as error:
        raise UsageFault(text("cannot write {file}: {reason}", file=stub.shown, reason=error.strerror)) from None
    remember(stub.kata.id, content, store)


def remember(id: str, content: bytes, store: Store) -> None:
    """Note that nobody wrote these bytes, so that they may be replaced."""
    store.put_check(_known_as(id, content), id, b"generated")


def free_name(path: Path) -> Path:
    """`lstm.py.bak`, or the first of `lstm.py.bak2`, `lstm.py.bak3` ... that is not taken."""
    count = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.bak{count if count > 1 else ''}")):
        count += 1
    return found


def _is_generated(course: Course, kata: Kata, content: bytes, store: Store) -> bool:
    """Whether nobody wrote these bytes."""
    if store.known_check(_known_as(kata.id, content)) is not None:
        return True
    reference = course.reference(kata)
    command = ["git", "-c", "safe.directory=*", "show", f"HEAD:./{reference.name}"]
    try:
        committed = subprocess.run(command, cwd=reference.parent, capture_output=True, check=True).stdout.decode()
        return is_in_step(committed, content.decode())
    except (OSError, subprocess.SubprocessError, ValueError, CourseFault):
        return False


def _known_as(id: str, content: bytes) -> str:
    return key({"what": "a generated stub", "kata": id, "content": content})
