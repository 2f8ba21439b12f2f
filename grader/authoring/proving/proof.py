"""What a kata was last proved with, on record beside its reference: from it a later check knows what has changed since.

`grade check --record` writes it where every rule holds. `grade check --changed` proves wholly what is not on record as it
stands now; of the other katas it looks at the files, and tries a part of them, which follows the week.
"""

from __future__ import annotations

import tomllib
from datetime import date
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from grader.authoring.proving.subject import Subject
from grader.engine.key import judging_digest

FILE = "proved.toml"
PARTS = 4  # weeks in which every mistake of an unchanged kata is tried once
_HEAD = "# What this kata was last proved with: written by `grade check --record`, read by `grade check --changed`.\n"


class Depth(StrEnum):
    """How much of a kata is proved."""

    WHOLE = "whole"
    PART = "part"  # right solutions once each, and a part of the mistakes on the tests that they name
    FILES = "files"  # nothing is run


class Proof(msgspec.Struct, frozen=True):
    """Digests of the kata's files and of all in the grader that a verdict can depend on, and the number of seeds."""

    files: str
    grader: str
    seeds: int


def now(subject: Subject, seeds: int) -> Proof:
    """What a proof on this many seeds stands for today."""
    return Proof(_files(subject), judging_digest(), seeds)


def on_record(subject: Subject) -> Proof | None:
    """The last proof; None where there is none that can be read."""
    try:
        return msgspec.convert(tomllib.loads((subject.behind / FILE).read_text(encoding="utf-8")), Proof)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError):
        return None


def write(subject: Subject, seeds: int) -> None:
    """Put on record that every rule held; a proof of the same on more seeds stays."""
    proof, before = now(subject, seeds), on_record(subject)
    if before and (before.files, before.grader) == (proof.files, proof.grader) and before.seeds >= seeds:
        return
    told = f'files = "{proof.files}"\ngrader = "{proof.grader}"\nseeds = {proof.seeds}\n'
    (subject.behind / FILE).write_text(_HEAD + told, encoding="utf-8", newline="\n")


def week() -> int:
    """Weeks since the first Monday of the calendar: every week has the number after that of the week before."""
    return date.today().toordinal() // 7


def is_proved(subject: Subject) -> bool:
    """Whether the kata's files are those with which every rule held, be it before a grader of another version."""
    proof = on_record(subject)
    return proof is not None and proof.files == _files(subject)


def due(subject: Subject, place: int, week: int) -> Depth:
    """How much of a kata, the `place`-th of its course, is proved this week for a change that may have touched anything."""
    proof = on_record(subject)
    if proof is None or not is_proved(subject):
        return Depth.WHOLE
    return Depth.PART if proof.grader != judging_digest() or place % PARTS == week % PARTS else Depth.FILES


def _files(subject: Subject) -> str:
    """A digest of all that the two folders hold, but for statements, which no verdict depends on."""
    digest = sha256()
    for path in sorted(path for folder in (subject.kata.folder, subject.behind) for path in folder.rglob("*")):
        if path.is_file() and not _aside(path):
            content = path.read_bytes()
            digest.update(f"{subject.name(path)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _aside(path: Path) -> bool:
    return path.name == FILE or path.suffix in (".md", ".pyc")
