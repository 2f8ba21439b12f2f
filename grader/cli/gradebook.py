"""For teachers, once a class is judged: `grade gradebook`, `similar` and `student`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.classroom.exports import FORMATS
from grader.cli.options import askable, coloured, confirm, course_option, opened
from grader.cli.speech import language, note
from grader.cli.spoken import command, option
from grader.course import Course
from grader.errors import UsageFault, did_you_mean
from grader.messages import text
from grader.reports.table import amount
from grader.scorecard import Scorecard
from grader.study.speaker import Speaker

if TYPE_CHECKING:
    from grader.classroom.gradebook import Gradebook
    from grader.classroom.journal import Journal
    from grader.classroom.records import Student
    from grader.classroom.similarity import Pair

_NAMED = 8  # students who are named in a line
OVERRIDES = "overrides.toml"  # beside the journal, where no other file is named

class_argument = click.argument("out", type=click.Path(path_type=Path), metavar="CLASS")
overrides_option = option(
    "--overrides",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What was decided by hand; CLASS/overrides.toml, if it is there.",
)


@command
@class_argument
@option("--to", type=click.Path(path_type=Path), metavar="DIR", help="Where to write (CLASS/gradebook).")
@option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="csv, canvas, gradescope, json or html; all of them without it. Repeatable.",
)
@overrides_option
@option(
    "--canvas",
    "exported",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A gradebook that Canvas exported: canvas.csv then has its columns and its students.",
)
@course_option
def gradebook(
    out: Path,
    to: Path | None,
    formats: Sequence[str],
    overrides: Path | None,
    exported: Path | None,
    root: Path | None,
) -> int:
    """Write what the class in CLASS came to: tables, Canvas, Gradescope, JSON, and pages for students and teacher.

    CLASS is the folder that `grade class` judged into, also while it is still judging. The late policy stands in
    course.toml. Exit code 0: everything is judged; 1: something is not, or failed by a fault of ours.

    Example: grade gradebook out --overrides decided.toml
    """
    from grader.classroom.exports.tables import read_canvas
    from grader.classroom.exports.write import write

    spoken = language()
    with reading(out, overrides, root) as (course, book):
        facts = book.facts
        katas = [(kata.id, kata.slug, kata.title) for kata in facts.katas]
        canvas = None if exported is None else read_canvas(_text(exported), katas)
        folder = to or beside(out) / "gradebook"
        done = write(book, folder, formats or FORMATS, spoken, speaker(course), canvas)
    told = "{folder}: {files} files about {students} students"
    print(spoken.text(told, folder=str(folder), files=done.files, students=done.students))
    for students, one, many in (
        (done.open, "{count} student has no total yet: {names}", "{count} students have no total yet: {names}"),
        (
            done.unknown,
            "Canvas does not know {count} student: {names}",
            "Canvas does not know {count} students: {names}",
        ),
        (
            done.absent,
            "Canvas has {count} student who is not in this class: {names}",
            "Canvas has {count} students who are not in this class: {names}",
        ),
    ):
        if students:
            print(spoken.plural(one, many, len(students), names=_names(students)), file=sys.stderr)
    for said in done.apart:
        note(said)
    if done.unnamed:
        print(
            spoken.text("bugs are not named yet in {katas}: `grade mistakes` does that", katas=[*done.unnamed]),
            file=sys.stderr,
        )
    return 1 if done.open else 0


@command
@class_argument
@click.argument("katas", nargs=-1, metavar="[KATA]...")
@course_option
def similar(out: Path, katas: Sequence[str], root: Path | None) -> int:
    """Name the files of KATAs (all without a name) that are the same or nearly the same: a hint to look, never a verdict.

    Lines of the stub, and what the course's own solution has too, are left out; names, comments and layout do not count.

    Example: grade similar out lstm
    """
    from grader.classroom.journal import Journal
    from grader.classroom.records import State
    from grader.classroom.similarity import groups
    from grader.stub import original, unmarked

    spoken, found_any = language(), False
    with closing(Journal.read(out)) as journal, opened(root) as (course, _):
        asked = course.select(katas)
        entries = [entry for entry in journal.entries() if entry.state is State.FILE]
        for kata in asked:
            own = {each.student: each for each in entries if each.kata == kata.id}
            files = {id: journal.source(each.sha256).decode("utf-8-sig", "replace") for id, each in own.items()}
            reference = course.reference(kata)
            solution = unmarked(reference.read_text(encoding="utf-8")) if reference.is_file() else ""
            found = groups(files, original(course, kata).decode("utf-8", "replace"), solution)
            if not found:
                continue
            print("\n" * found_any + f"{kata.id}")
            found_any = True
            for group in found:
                said = "the same: {names}" if group.same else "nearly the same: {names}"
                print(f"  {spoken.text(said, names=[*group.members])}")
                for pair in () if group.same else group.pairs:
                    print(f"    {spoken.text(_PAIR, **_spoken(pair))}")
    if not found_any:
        print(spoken.text("no two files are alike"))
    return 0


_PAIR = "{one} and {other}: {percent} %, lines {from_one}-{to_one} and {from_other}-{to_other}"


def _spoken(pair: Pair) -> dict[str, Any]:
    (from_one, to_one), (from_other, to_other) = pair.one_lines, pair.other_lines
    return {
        "one": pair.one, "other": pair.other, "percent": int(100 * pair.likeness), "from_one": from_one, "to_one": to_one,
        "from_other": from_other, "to_other": to_other,
    }  # fmt: skip


@command
@class_argument
@click.argument("id", metavar="STUDENT")
@option("--export", "archive", type=click.Path(path_type=Path), metavar="FILE", help="Write all of it into a ZIP file.")
@option("--pseudonymise", is_flag=True, help="Give the student another id, and take away the name.")
@option("--delete", is_flag=True, help="Take the student out of the journal, with what nobody else handed in.")
@option("--yes", is_flag=True, help="Do not ask.")
@overrides_option
@course_option
def student(
    out: Path,
    id: str,
    archive: Path | None,
    pseudonymise: bool,
    delete: bool,
    yes: bool,
    overrides: Path | None,
    root: Path | None,
) -> int:
    """Show what one STUDENT of a class came to; or export, pseudonymise or delete the student's data.

    Example: grade student out s17 --export s17.zip
    """
    from grader.classroom import person

    if pseudonymise or delete:
        askable(yes)  # before anything is written
    if archive is not None:
        person.keep(archive, _of_student(out, id, overrides, root, zipped=True))
        print(language().text("{file}: all that is known of {student}", file=str(archive), student=id))
    if pseudonymise or delete:
        _without(out, id, pseudonymise=not delete, yes=yes)
    elif archive is None:
        sys.stdout.write(_of_student(out, id, overrides, root, zipped=False).decode())
    return 0


def _of_student(out: Path, id: str, overrides: Path | None, root: Path | None, *, zipped: bool) -> bytes:
    """A student's archive, or the scorecard as text. Raises UsageFault where there is no such student."""
    from grader.classroom import person
    from grader.classroom.exports import told
    from grader.classroom.gradebook import in_hundredths, scorecard
    from grader.reports import terminal

    spoken = language()
    with reading(out, overrides, root) as (course, book):
        sheet = book.sheet(one_student(book.journal, id))
        card = speaker(course)(scorecard(sheet, book.facts))
        if zipped:
            return person.archive(book, sheet, card, spoken)
        width = shutil.get_terminal_size().columns
        notes = [f"{cell.kata.id}: {line}" for cell in sheet.cells for line in told.lines(cell, spoken)]
        if sheet.complete:
            counted = {"points": amount(sheet.points), "most": amount(sheet.max)}
            notes.append(spoken.text("{points} of {most} points count", **counted))
        shown = terminal.render(in_hundredths(card), width=width, colour=coloured(), language=spoken, own=False)
    return "\n".join([shown.rstrip("\n"), *notes, ""]).encode()


def _without(out: Path, id: str, *, pseudonymise: bool, yes: bool) -> None:
    """Pseudonymise or delete, and say what is left to be done by hand."""
    from grader.classroom import person
    from grader.classroom.journal import Journal

    spoken, folder = language(), beside(out)
    with closing(Journal.read(out)) as journal:
        one_student(journal, id)
        submissions = journal.facts().submissions
    asked = "take the name of {student} out of {folder}?" if pseudonymise else "delete {student} from {folder}?"
    confirm(text(asked, student=id, folder=str(folder)), yes)
    new = person.pseudonym()
    for path in sorted(folder.glob("*.sqlite")):  # those of shards, of a regrade and from before one, too
        if pseudonymise:
            person.pseudonymise(path, id, new)
        else:
            person.delete(path, id)
    if pseudonymise:
        print(spoken.text("{student} is {new} from now on; the files stay as they were written", student=id, new=new))
    else:
        print(spoken.text("{student} is deleted from {folder}", student=id, folder=str(folder)))
    left = [submissions, *(str(path) for path in (folder / "gradebook", folder / OVERRIDES) if path.exists())]
    print(spoken.text("  what else may name {student}, and is yours to mend: {places}", student=id, places=left))


@contextmanager
def reading(out: Path, overrides: Path | None, root: Path | None) -> Iterator[tuple[Course, Gradebook]]:
    """The course around here, and the gradebook of a class with the course's late policy and what was decided by hand."""
    from grader.classroom import late, mistakes
    from grader.classroom import overrides as decisions
    from grader.classroom.gradebook import Gradebook
    from grader.classroom.journal import Journal
    from grader.diagnosis import Fingerprints

    with closing(Journal.read(out)) as journal, opened(root) as (course, _):
        facts = journal.facts()
        policy = late.policy(course.root, tuple(kata.id for kata in course.katas))
        path = overrides or beside(out) / OVERRIDES
        decided = decisions.Overrides()
        if overrides is not None or path.is_file():
            ids = [student.id for student in journal.students()]
            decided = decisions.read(path, ids, {kata.id: kata.max for kata in facts.katas})
        none = {kata.id: Fingerprints() for kata in course.katas if not mistakes.of(course, kata).is_file()}
        yield course, Gradebook(journal, policy, decided, none | mistakes.load(beside(out), facts))


def beside(out: Path) -> Path:
    """The folder of a class that is named by its folder or by its journal."""
    return out if out.is_dir() else out.parent


def speaker(course: Course) -> Callable[[Scorecard], Scorecard]:
    """What words a scorecard in the language of this process, but for katas that the course no longer has."""
    spoken, known = Speaker(course, language()), {kata.id for kata in course.katas}
    return lambda card: spoken.card(card) if {kata.id for kata in card.katas} <= known else card


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(text("{file} cannot be read: {reason}", file=str(path), reason=str(error))) from None


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + ", …" * (len(names) > _NAMED)


def one_student(journal: Journal, id: str) -> Student:
    """The student of this id. Raises UsageFault where the class has none."""
    known = {student.id: student for student in journal.students()}
    if id not in known:
        raise UsageFault(text("there is no student {name!r} in this class", name=id), did_you_mean(id, known))
    return known[id]
