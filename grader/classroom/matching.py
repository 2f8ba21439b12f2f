"""Which of a student's files is meant for which kata: by its place, then its name, then what it defines.

A file in its place, `<id>/<slug>.py`, is meant before one of the right name elsewhere; that before one whose name was
lengthened on its way (`lstm (1).py`, `lstm-2.py`, `04_lstm_final.py`), which must define something that the kata asks for;
and that before one that defines all that a kata, and no other, asks for, whatever it is called. Whenever it is not the first,
it is told. Where several are equally near and differ, none is taken.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from msgspec.structs import replace

from grader.classroom.archives import Member, shown, wanted
from grader.classroom.records import About, Entry, Remark, State
from grader.kata import Kata
from grader.messages import Message, text
from grader.scorecard import KataResult, Verdict, reject_kata

IN_PLACE, BY_NAME, LIKE_NAME, BY_CONTENT = range(4)
_DEFINED = re.compile(rb"^(?:async[ \t]+def|def|class)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_ASSIGNED = re.compile(rb"^([A-Za-z_]\w*)[ \t]*(?::[^=\n]*)?=[^=]", re.MULTILINE)
_LENGTHENED = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]+\d+|[ _-]+v\d+|[ _-]+(?:copy|kopie|final|new|fixed|solution))$")
_OTHERS = ("conftest.py", "setup.py", "__init__.py")


@dataclass(frozen=True)
class Handed:
    """A Python file, its bytes aside: parts of its path below the student's folder, and what it defines at the top."""

    place: tuple[str, ...]
    path: str
    sha256: str
    defines: frozenset[str]
    time: str = ""
    late: bool = False
    problem: Message | None = None
    stub_of: str = ""  # the kata whose stub it is, untouched


@dataclass
class Desk:
    """What the katas ask for, and the answers to what each student has."""

    katas: Sequence[Kata]
    stubs: Mapping[str, bytes]  # as they were handed out, by kata

    def __post_init__(self) -> None:
        self._stubs = {_plain(content): kata for kata, content in self.stubs.items()}
        self._asked = {kata.id: frozenset(name.partition(".")[0] for name in kata.entry_points) for kata in self.katas}
        self._wanted = frozenset[str]().union(*self._asked.values())
        self._by_name = {f"{kata.slug}.py": kata.id for kata in self.katas}
        called = [(each, kata.id) for kata in self.katas for each in (kata.slug, kata.id, f"{kata.number}_{kata.slug}")]
        self._by_word = {_squashed(word): id for word, id in called}

    def handed(self, member: Member, place: tuple[str, ...], late: bool) -> Handed:
        """What is kept of a Python file to choose by."""
        if member.read is None:
            return Handed(place, shown(member.parts), "", frozenset(), member.time, late, member.problem)
        read, source = member.read, member.read.source or b""
        names = {name.decode() for name in (*_DEFINED.findall(source), *_ASSIGNED.findall(source))}
        problem = read.problem.said if read.problem else None
        stub = self._stubs.get(_plain(source), "") if source else ""
        defines = frozenset(names & self._wanted)
        return Handed(place, read.display_path, read.sha256, defines, member.time, late, problem, stub)

    def resembles(self, name: str) -> bool:
        """Whether a file that is no Python file is called like one that is asked for: `lstm.ipynb`, `lstm.txt`."""
        return not wanted(name) and bool(self._called_like(name.rpartition(".")[0]))

    def answer(self, student: str, files: Sequence[Handed], why: Message | None) -> tuple[list[Entry], list[Remark]]:
        """The student's entries, one for each kata, and what is to be said of the files.

        why: what is wrong with all that the student has, such as a folder that is a link
        """
        near: dict[str, list[tuple[int, Handed]]] = {kata.id: [] for kata in self.katas}
        entries, remarks = [], []
        for file in files:
            meant = self._meant(file)
            if meant is not None:
                near[meant[0]].append((meant[1], file))
            elif not _is_beside(file):
                said = text("{file} belongs to no kata of this run, by its name or by what it defines", file=file.path)
                about = About.UNREADABLE if file.problem else About.UNKNOWN
                remarks.append(Remark(about=about, said=file.problem or said, student=student, path=file.path))
        for kata in self.katas:
            entry, told = _choose(student, kata, near[kata.id], why)
            entries.append(entry)
            remarks += told
        return entries, remarks

    def _meant(self, file: Handed) -> tuple[str, int] | None:
        """For which kata a file may be meant, and how near it is to that; None where it is for none."""
        name = file.place[-1]
        if id := self._by_name.get(name):
            return id, IN_PLACE if file.place[-2:-1] == (id,) else BY_NAME
        if _is_beside(file):
            return None
        if id := self._called_like(name):
            return (id, LIKE_NAME) if file.problem or self._asked[id] & file.defines else None
        alike = [id for id, asked in self._asked.items() if asked and asked <= file.defines] if file.defines else []
        return (alike[0], BY_CONTENT) if len(alike) == 1 else None

    def _called_like(self, name: str) -> str:
        """The kata whose name this is with something before or behind it; "" where it is none's."""
        stem = name.lower().removesuffix(".txt").removesuffix(".py").strip()
        while not (found := self._by_word.get(_squashed(stem), "")):
            shorter = _LENGTHENED.sub("", stem)
            if shorter == stem:
                break
            stem = shorter
        return found


def _choose(
    student: str, kata: Kata, near: Sequence[tuple[int, Handed]], why: Message | None
) -> tuple[Entry, list[Remark]]:
    """One kata's entry, from the files that may be meant for it."""
    worked = [(distance, file) for distance, file in near if file.stub_of != kata.id]
    nearest = min((distance for distance, _ in worked or near), default=None)
    best = [file for distance, file in worked or near if distance == nearest]
    if nearest is None:
        nothing = "nothing was handed in for {kata}: there is no {file}"
        said = why or text(nothing, kata=kata.id, file=f"{kata.slug}.py")
        state = State.REFUSED if why else State.MISSING
        return Entry(student=student, kata=kata.id, state=state, given=_rejected(kata, Verdict.ERROR, said)), []
    if len({file.sha256 or file.path for file in best}) > 1:
        paths = [file.path for file in best]
        said = text("{files} differ, and any of them may be meant: none is judged", files=paths)
        given = _rejected(kata, Verdict.ERROR, said, paths[0])
        remark = Remark(about=About.DUPLICATE, said=said, student=student, kata=kata.id, path=paths[0])
        return Entry(student=student, kata=kata.id, state=State.UNCLEAR, path=paths[0], given=given), [remark]
    file = min(best, key=lambda each: (len(each.place), each.place))
    entry = Entry(
        student=student, kata=kata.id, state=State.FILE, path=file.path, sha256=file.sha256, time=file.time,
        marked_late=file.late,
    )  # fmt: skip
    remarks = _told(student, kata, nearest, file, [each for _, each in worked])
    return _settled(entry, kata, file), remarks


def _settled(entry: Entry, kata: Kata, file: Handed) -> Entry:
    """The entry as it stays, where no judge is needed for it."""
    if file.problem is not None:
        given = _rejected(kata, Verdict.ERROR, file.problem, file.path, file.sha256)
        return replace(entry, state=State.REFUSED, given=given)
    if file.stub_of == kata.id:
        said = text("{file} is the stub, untouched", file=file.path)
        given = _rejected(kata, Verdict.TODO, said, file.path, file.sha256)
        return replace(entry, state=State.STUB, given=given)
    return entry


def _told(student: str, kata: Kata, distance: int, file: Handed, worked: Iterable[Handed]) -> list[Remark]:
    """What is to be said of the file that was taken, and of those beside it."""
    remarks = []
    if distance > BY_NAME or (distance == BY_NAME and len(file.place) > 1):
        how = {
            BY_NAME: "{file} is taken for {kata}, by its name: it is not in the folder {kata}",
            LIKE_NAME: "{file} is taken for {kata}, by what is left of its name and by what it defines",
            BY_CONTENT: "{file} is taken for {kata}, by what it defines: it has another name",
        }[distance]
        said = text(how, file=file.path, kata=kata.id)
        remarks.append(Remark(about=About.ELSEWHERE, said=said, student=student, kata=kata.id, path=file.path))
    if file.problem is not None:
        about = About.UNREADABLE
        remarks.append(Remark(about=about, said=file.problem, student=student, kata=kata.id, path=file.path))
    for other in worked:
        if other.sha256 != file.sha256 or (not file.sha256 and other is not file):
            said = text("{file} is not judged: {taken} is nearer to its place", file=other.path, taken=file.path)
            about = About.DUPLICATE
            remarks.append(Remark(about=about, said=said, student=student, kata=kata.id, path=other.path))
    return remarks


def _rejected(kata: Kata, verdict: Verdict, said: Message, path: str = "", sha256: str = "") -> KataResult:
    readme = f"katas/{kata.id}/README.md"
    return reject_kata(kata, verdict, [said], stub=path, readme=readme, sha256=sha256)


def _squashed(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).casefold()


def _is_beside(file: Handed) -> bool:
    """A file that courses have beside the learner's own."""
    return file.place[-1].startswith("test_") or file.place[-1] in _OTHERS


def _plain(content: bytes) -> str:
    """A digest of a text that no editor and no platform changes: of its words, without byte-order mark, blanks and lines."""
    return sha256(b" ".join(content.removeprefix(codecs.BOM_UTF8).split())).hexdigest()
