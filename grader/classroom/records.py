"""What the journal of a class holds, as frozen values; their JSON is what stands in its columns."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from grader.messages import Message
from grader.scorecard import KataResult

FORMAT_VERSION: Final = 1


class State(StrEnum):
    """What a student has for a kata."""

    FILE = "file"  # one file, which is judged: its result is what a judge found
    STUB = "stub"  # the stub as it was handed out: to do, and never judged
    MISSING = "missing"  # nothing
    REFUSED = "refused"  # a file that is no submission: a link, too large, not UTF-8, in an archive that cannot be read
    UNCLEAR = "unclear"  # several files of different content, none of which is in the right place


class About(StrEnum):
    """What a remark is about."""

    ELSEWHERE = "elsewhere"  # a file was taken from a place, or under a name, that is not the one asked for
    DUPLICATE = "duplicate"  # beside the file that was taken, or among those of which none was, there is another
    UNREADABLE = "unreadable"  # a file, folder or archive that is not read, and why
    UNKNOWN = "unknown"  # a file that belongs to no kata, or a folder that belongs to no student of the roster
    MISSING = "missing"  # a student of the roster of whom nothing was found


class KataFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A kata of the run, in the course's order: all that a table's head needs."""

    id: str
    slug: str
    title: str
    title_zh: str
    points: dict[str, float]  # by kind
    tests: int
    digest: str  # of all that a verdict on it depends on, but for the file and the seed

    @property
    def max(self) -> float:
        """The points that there are in it."""
        return sum(self.points.values())


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a whole run, fixed when it begins. The seed itself is in the journal, and in none of these.

    layers: of the sandbox, sorted; complete: whether these are all that a class run requires, as found by trying
    """

    format_version: Literal[1] = FORMAT_VERSION
    course: str  # name of its folder
    course_digest: str  # of the katas' digests: another one is another course
    grader: str
    versions: dict[str, str]  # interpreter, system and libraries
    katas: tuple[KataFacts, ...]
    seed_sha256: str  # of the secret seed's digits
    submissions: str  # the folder or archive, as it was named
    started: str  # ISO 8601, UTC
    sandbox: str = ""  # in words; "" until the first judge was at work
    layers: tuple[str, ...] = ()
    complete: bool = False
    weaker_allowed: bool = False  # --allow-weaker-sandbox
    shard: str = ""  # "3/16", where the journal holds a part of the class's results


class Student(msgspec.Struct, frozen=True, kw_only=True):
    """One learner, from the roster or, without one, from the name of a folder.

    due, late: ISO 8601 with an offset, as the roster has them: in time until `due`, late until `late`; "" without a limit
    """

    id: str  # unique in the class
    name: str = ""
    section: str = ""
    due: str = ""
    late: str = ""
    folder: str = ""  # where the files were found, as it is shown; "" where nothing was
    in_roster: bool = False
    more: dict[str, str] = {}  # the roster's other columns, as they stand


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one student has for one kata: there is one for each student and each kata of the run.

    given: the result where no judge is needed: to do, missing, refused, unclear. None for State.FILE.
    time: when the file was last changed, ISO 8601 in UTC, as its archive or folder has it; "" where neither says. A clone
        or a download may have set it anew, so that it is a hint and no proof.
    """

    student: str
    kata: str
    state: State
    path: str = ""  # as it is shown: below what was handed in, through archives too
    sha256: str = ""  # of the bytes that were read; key of the source and the result
    time: str = ""
    marked_late: bool = False  # by Canvas, in the name
    given: KataResult | None = None


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a teacher should know of what was handed in. `student` and `kata` are "" where it is of none."""

    about: About
    said: Message
    student: str = ""
    kata: str = ""
    path: str = ""


class Row(msgspec.Struct, frozen=True):
    """An entry with its result, which is None as long as its file is not judged."""

    entry: Entry
    result: KataResult | None
