"""What a verdict depends on, in one place: whatever else changes, it stays the same."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import msgspec
from msgspec.structs import replace

from grader.judge.job import Job
from grader.store import key

PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("numpy", "torch", "scipy", "scikit-learn", "pytest")
# What shows or gathers verdicts, and makes none: nothing that judges imports any of it, which tests/test_floors.py holds.
_ROOMS = ("authoring", "classroom", "cli", "notebook", "reports", "schemas", "study", "watch")
_FILES = ("autograder", "copies", "kept", "moving", "nudges", "solved", "standing", "writing")
SHOWING = frozenset([*_ROOMS, *(f"{name}.py" for name in _FILES)])


def of(job: Job, course: str, more: Mapping[str, str | bytes]) -> str:
    """The digest of all that the verdicts on a job depend on. `course` is `of_course`; `more` is what the asker adds."""
    told = replace(job, root="", suites=(), reference="", processor=None)
    return key({**more, "course": course, "job": msgspec.msgpack.encode(told)})


def of_course(job: Job) -> str:
    """The digest of what the verdicts on all files for a kata depend on.

    That is its suites, the files beside them but for the stub and the texts, the reference where a suite asks for it, the
    grader, and the libraries. What the manifest says of judging is in the job.
    """
    suites = {path: path.read_bytes() for path in map(Path, job.suites)}
    folder = Path(job.root, "katas", job.kata)
    beside = [path for path in sorted(folder.iterdir()) if path.is_file() and path not in suites]
    reference = Path(job.reference)
    asks = reference.is_file() and any(b"reference" in text for text in suites.values())
    return key(
        {
            **{f"suite {path.name}": text for path, text in suites.items()},
            **{f"file {path.name}": path.read_bytes() for path in beside if not _aside(path, job)},
            "reference": reference.read_bytes() if asks else b"",
            "grader": judging_digest(),
            "libraries": repr(sorted(versions().items())),
        }
    )


def _aside(path: Path, job: Job) -> bool:
    """A text, a notebook, a manifest, or the stub, whose bytes are the job's."""
    return path.suffix in (".md", ".ipynb", ".toml") or path.name == job.filename


def versions(*, anew: bool = False) -> dict[str, str]:
    """What a result depends on besides the course: interpreter, system and libraries; `anew` looks whether it still is so."""
    return _versions.__wrapped__() if anew else _versions()


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def grader_digest(*, anew: bool = False) -> str:
    """A digest of the grader's own files, which names the version that made a scorecard; `anew` reads them once more."""
    return _digest_of_grader.__wrapped__(frozenset()) if anew else _digest_of_grader(frozenset())


def judging_digest() -> str:
    """A digest of those of the grader's files that a verdict can depend on: a change to any makes stored results stale."""
    return _digest_of_grader(SHOWING)


@cache
def _digest_of_grader(without: frozenset[str]) -> str:
    return read_digest(PACKAGE, without)


def read_digest(top: Path, without: frozenset[str] = frozenset()) -> str:
    """The same of the files as they are now, which a newer release may have replaced under this process.

    without: names, in `top` itself, of folders and files that are passed over
    """
    digest = sha256()
    for folder, _, names in sorted(os.walk(top)):
        place = Path(folder).relative_to(top)
        for name in sorted(names):
            if name.endswith((".py", ".json")) and (place / name).parts[0] not in without:
                digest.update(str(place / name).encode() + Path(folder, name).read_bytes())
    return digest.hexdigest()
