"""What was handed in, by student and kata: nothing is guessed in silence, and nothing that anybody handed in stops the rest.

Whose a file is, the names at the top say, which a platform or the teacher wrote, held against the roster where there is one.
What is not on the roster is judged all the same, as a student of that name, and told.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from grader.classroom.archives import LIST, Member, is_archive, shown, wanted
from grader.classroom.labels import Label, common_start, label, owners
from grader.classroom.matching import Desk, Handed
from grader.classroom.records import About, Entry, Remark, State, Student
from grader.classroom.roster import Roster
from grader.classroom.sources import members
from grader.messages import Message, text
from grader.scorecard.visible import visible

_EXPORT = re.compile(r"assignment_\d+_export")
_MOST_REMARKS = 50  # of one student, or of none


@dataclass
class Intake:
    """All that was found, ready for the journal. contents: the files to be judged, by their sha256."""

    students: list[Student] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """A member without its bytes."""

    parts: tuple[str, ...]
    folder: bool
    problem: Message | None
    note: Message | None
    handed: Handed | None  # of a Python file; its place counts from the very top


@dataclass
class _Unit:
    """What lies under one label: a folder, an archive, or files that a platform named alike."""

    label: Label
    tops: dict[str, None] = field(default_factory=dict)  # as they are called at the top
    files: list[Handed] = field(default_factory=list)
    faults: list[tuple[Message, str]] = field(default_factory=list)  # what cannot be read, and its path
    remarks: list[Remark] = field(default_factory=list)


def take_in(source: Path, desk: Desk, roster: Roster | None = None) -> Intake:
    """Look through all that was handed in. Raises UsageFault where `source` itself cannot be read, and nothing else."""
    found, contents, listed, seen = Intake(), dict[str, bytes](), b"", list[_Seen]()
    for member in members(source):
        if member.parts and member.parts[-1] == LIST:
            if len(member.parts) <= 2 and member.read is not None:
                listed = member.read.source or b""
            continue
        if member.read is not None and member.read.source is not None:
            contents.setdefault(member.read.sha256, member.read.source)
        seen.append(_light(member, desk))
    whose = owners(listed)
    if listed and not whose:
        said = text("{file} cannot be read, so that nobody knows whose each submission is", file=LIST)
        found.remarks.append(Remark(about=About.UNREADABLE, said=said, path=LIST))
    units = _units(seen, _descent(seen, desk, roster, source), desk, found)
    _answer(_by_student(units, whose, roster, found), desk, found)
    used = {entry.sha256 for entry in found.entries if entry.state is State.FILE}
    found.contents = {digest: content for digest, content in contents.items() if digest in used}
    return found


def _light(member: Member, desk: Desk) -> _Seen:
    python = bool(member.parts) and wanted(member.parts[-1]) and not member.folder and member.note is None
    handed = desk.handed(member, member.parts, late=False) if python else None
    return _Seen(member.parts, member.folder, member.problem, member.note, handed)


def _descent(seen: Sequence[_Seen], desk: Desk, roster: Roster | None, source: Path) -> int:
    """How many folders stand round all students' together: one where an archive or an export was packed with its folder."""
    tops = {each.parts[0] for each in seen if each.parts}
    if len(tops) != 1:
        return 0
    (top,) = tops
    below = {each.parts[1] for each in seen if len(each.parts) > 1}
    if _EXPORT.fullmatch(top) and below:
        return 1
    known = bool(roster and roster.find([top]))
    of_student = {"katas", *(kata.id for kata in desk.katas)} & below or any(wanted(name) for name in below)
    folders = {each.parts[1] for each in seen if len(each.parts) > 2 or (len(each.parts) == 2 and each.folder)}
    return int(not source.is_dir() and not is_archive(top) and not known and not of_student and bool(folders))


def _units(seen: Iterable[_Seen], depth: int, desk: Desk, found: Intake) -> list[_Unit]:
    """What lies under each label; what lies under none is told."""
    units: dict[tuple[str, str], _Unit] = {}
    for each in seen:
        parts, path = each.parts[depth:], shown(each.parts)
        if not parts:
            if each.problem is not None:
                found.remarks.append(Remark(about=About.UNREADABLE, said=each.problem, path=path))
            continue
        barred = len(parts) == 1 and each.problem is not None and not wanted(parts[0]) and not is_archive(parts[0])
        is_folder = each.folder or barred or (len(parts) > 1 and not is_archive(parts[0]))
        whose = label(parts[0], is_folder)
        if whose is None:
            said = each.problem or text("{file} belongs to no student, by its name", file=path)
            found.remarks.append(Remark(about=About.UNKNOWN, said=said, path=path))
            continue
        unit = units.setdefault((whose.id, whose.name), _Unit(whose))
        unit.tops[shown((*each.parts[:depth], parts[0]))] = None
        _file(unit, each, (whose.rest, *parts[1:]) if whose.rest else parts[1:], desk, whose.late)
    del found.remarks[_MOST_REMARKS:]
    return list(units.values())


def _file(unit: _Unit, each: _Seen, place: tuple[str, ...], desk: Desk, late: bool) -> None:
    """Put one member where it belongs in its unit."""
    path = shown(each.parts)
    if each.note is not None:
        unit.remarks.append(Remark(about=About.DUPLICATE, said=each.note, path=path))
    elif each.handed is not None and place and wanted(place[-1]):
        unit.files.append(replace(each.handed, place=place, late=late))
    elif each.problem is not None:
        unit.faults.append((each.problem, path))
    elif place and not each.folder and desk.resembles(place[-1]):
        said = text("{file} is not read: only files that end in .py are", file=path)
        unit.remarks.append(Remark(about=About.UNREADABLE, said=said, path=path))


def _by_student(
    units: Sequence[_Unit], listed: dict[str, list[tuple[str, ...]]], roster: Roster | None, found: Intake
) -> list[tuple[Student, list[_Unit]]]:
    """The students, those of the roster first, each with what is theirs."""
    theirs: dict[str, list[_Unit]] = defaultdict(list)
    students = {student.id: student for student in (roster.students if roster else ())}
    start = common_start([unit.label.id for unit in units if not unit.label.name])
    for unit in units:
        own = listed.get(unit.label.id) or [unit.label.keys]
        for keys in own:
            named = keys if unit.label.id in listed else (*keys, *(key.removeprefix(start) for key in keys if start))
            student = _student(unit, keys, roster.find(named) if roster else None, found)
            students.setdefault(student.id, student)
            theirs[student.id].append(unit)
    folded: dict[str, str] = {}
    for id in students:
        if (other := folded.setdefault(id.casefold(), id)) != id:
            said = text("{one} and {other} differ in case alone: they are judged as two students", one=other, other=id)
            found.remarks.append(Remark(about=About.DUPLICATE, said=said, student=id))
    return [(students[id], theirs[id]) for id in students]


def _student(unit: _Unit, keys: tuple[str, ...], meant: list[Student] | None, found: Intake) -> Student:
    """Who a label means: somebody on the roster, or a student of that name."""
    if meant is not None and len(meant) == 1:
        return meant[0]
    id, name = (visible(keys[0]) if keys else visible(unit.label.id)), visible(unit.label.name or keys[-1])
    if meant is not None:
        where = next(iter(unit.tops))
        said = text("{folder} belongs to nobody on the roster", folder=where)
        if meant:
            ids = [student.id for student in meant]
            said = text("{folder} may belong to any of {ids}: it is given to none of them", folder=where, ids=ids)
        found.remarks.append(Remark(about=About.UNKNOWN, said=said, student=id, path=where))
    return Student(id=id, name=name if name != id else "")


def _answer(theirs: Iterable[tuple[Student, list[_Unit]]], desk: Desk, found: Intake) -> None:
    """Each student's entries and remarks."""
    for student, units in theirs:
        tops = [top for unit in units for top in unit.tops]
        files = [file for unit in units for file in unit.files]
        faults = [fault for unit in units for fault in unit.faults]
        remarks = [structs.replace(remark, student=student.id) for unit in units for remark in unit.remarks]
        whole = faults[0][0] if faults and not files else None
        entries, told = desk.answer(student.id, files, whole)
        if len(units) > 1:
            said = text("{student} has several folders or archives: {folders}", student=student.id, folders=tops)
            remarks.append(Remark(about=About.DUPLICATE, said=said, student=student.id, path=tops[0]))
        if not units:
            said = text("nothing was found of {student}", student=student.id)
            remarks.append(Remark(about=About.MISSING, said=said, student=student.id))
        for said, path in faults:
            remarks.append(Remark(about=About.UNREADABLE, said=said, student=student.id, path=path))
        remarks += told
        if len(remarks) > _MOST_REMARKS:
            more = text("and {count} more", count=len(remarks) - _MOST_REMARKS)
            remarks[_MOST_REMARKS:] = [Remark(about=About.UNKNOWN, said=more, student=student.id)]
        found.students.append(structs.replace(student, folder=tops[0] if tops else ""))
        found.entries += entries
        found.remarks += remarks
