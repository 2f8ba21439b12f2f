"""The course as it was when a run began: packed once, known by its digest, and unpacked where judges work.

An edit while a class is judged reaches no judge, and a machine elsewhere judges from the very same bytes.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from grader.classroom.records import KataFacts
from grader.course import Course, find
from grader.engine import key
from grader.engine.task import job_for
from grader.kata import SETTINGS, Kata
from grader.store import key as digest_of
from grader.submission import Submission

_LEFT_OUT = ("__pycache__", ".grade", ".git")


def pack(course: Course, katas: Iterable[Kata]) -> bytes:
    """What judging these katas reads, as a zip: the same bytes for the same content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(course, katas):
            info = zipfile.ZipInfo(path.relative_to(course.root).as_posix())
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return packed.getvalue()


@contextmanager
def unpacked(packed: bytes, folder: Path) -> Iterator[Course]:
    """The course of `pack`, in a folder that is made for it and taken away afterwards."""
    shutil.rmtree(folder, ignore_errors=True)  # what a run left that was killed
    folder.mkdir(mode=0o700, parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)  # our own, and known by its digest
        yield find(folder, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def facts(course: Course, katas: Sequence[Kata]) -> tuple[KataFacts, ...]:
    """What the journal keeps of the katas, each with the digest of all that a verdict on it depends on."""
    return tuple(
        KataFacts(
            id=kata.id,
            slug=kata.slug,
            title=kata.title,
            title_zh=kata.title_zh,
            points=dict(kata.points),
            tests=kata.tests,
            digest=_digest(course, kata),
        )
        for kata in katas
    )


def digest(katas: Iterable[KataFacts]) -> str:
    """Of the whole course, as far as it is judged."""
    return digest_of({kata.id: kata.digest for kata in katas})


def _digest(course: Course, kata: Kata) -> str:
    job = job_for(course, kata, Submission(kata.id, kata.stub, kata.stub.name))
    return key.of(job, key.of_course(job), {"manifest": (kata.folder / "kata.toml").read_bytes()})


def _files(course: Course, katas: Iterable[Kata]) -> Iterator[Path]:
    if (settings := course.root / SETTINGS).is_file():
        yield settings
    for kata in katas:
        for top in (kata.folder, course.reference(kata).parent):
            for folder, below, names in os.walk(top):
                below[:] = sorted(set(below) - set(_LEFT_OUT))
                yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())
