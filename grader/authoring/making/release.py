"""What a learner's repository holds: stubs, suites, statements, data and the grader; no answer of any kind.

Every file is made in memory, so nothing is written before all of it is known to be right.

A release carries the grader, unless it is told to depend on the published one:

- carried, it judges for years just as its katas were proved, also a grader that was never published, and whoever has the
  folder has all of it: it is what a class of one term wants. The rooms of authors stay out, which learners have no use for.
- published, the folder holds katas alone and pip brings the grader, at exactly the version that proved them, since
  another may judge differently. It is what several courses of one teacher want, which would else each carry a copy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from grader import diagnosis
from grader.authoring.making import manifest, pages
from grader.authoring.making.choice import Choice
from grader.authoring.making.recording import record
from grader.authoring.proving import fingerprints, suite
from grader.authoring.proving.statement import PAGES
from grader.authoring.proving.subject import Subject
from grader.authoring.showing.course import course_paths, course_tracks, relisted
from grader.course import Course
from grader.errors import CourseFault, Fault
from grader.judge.recorded import FILE as RECORDING
from grader.kata import SETTINGS, Kata
from grader.messages import text
from grader.messages.language import SOURCE, Language
from grader.stub import ORIGINAL, generated
from grader.study.notebooks import SUFFIX
from grader.study.notebooks import made as notebook

CLASSROOM = ".github/workflows/classroom.yml"
_COMMANDS = ("again", "author", "gradebook", "release", "scaffold", "teach")
_ABOUT = "katas/README.md"
_COPIED = ("LICENSE", "CHANGELOG.md", _ABOUT)
_SUFFIXES = (".py", ".json", ".md", ".mo", ".typed", ".jinja", ".css", ".tcss")
_OF_AUTHORS = ("authoring", "classroom", *(f"cli/{name}.py" for name in _COMMANDS))
_FORK = "github.event.repository.fork"

Files = dict[str, bytes]  # by path in the release


def contents(choice: Choice, *, published: bool = False, classroom: bool = False, notebooks: bool = False) -> Files:
    """Every file of a release; raises CourseFault with all faults of all katas.

    With `classroom` it is the template of an assignment of GitHub Classroom: its workflow reports points there. With
    `notebooks` each kata is a notebook too, in every language of the course.
    """
    course = choice.course
    files = katas(course)
    if notebooks:
        files |= {path: content for kata in course.katas for path, content in _notebooks(course, kata, files)}
    if not published:
        files |= grader_files()
    for name in (SETTINGS, *_COPIED):
        if (course.root / name).is_file():
            files[name] = (course.root / name).read_bytes()
    made = {
        ".gitignore": _own(course, ".gitignore") or pages.verbatim("gitignore"),
        "pyproject.toml": pages.project(course, published=published, notebooks=notebooks),
        "Makefile": pages.makefile(course),
    }
    if classroom:
        made[CLASSROOM] = pages.verbatim("classroom.yml")
    else:  # a template's copies are no forks, and the template itself has nothing to grade
        for name, shipped in pages.on_github().items():
            made[name] = (_own(course, name) or shipped).replace(_FORK, "!github.event.repository.is_template")
    files |= {name: page.encode() for name, page in made.items()}
    if about := files.get(_ABOUT):
        listed = relisted(about.decode(), course_tracks(course))
        files[_ABOUT] = relisted(listed, course_paths(course), "paths").encode()
    readmes = pages.readmes(course, files, choice.recommended, classroom=classroom)
    files |= {name: page.encode() for name, page in readmes.items()}
    return {name: pages.without_dead_links(name, content, files) for name, content in sorted(files.items())}


def katas(course: Course, *, hidden: bool = False) -> Files:
    """What a learner gets of every kata; raises CourseFault with all faults of all of them.

    With `hidden`, the manifests still speak of the hidden tests, which somebody else is going to run.
    """
    files: Files = {}
    faults: list[Fault] = []
    for kata in course.katas:
        try:
            files |= {f"katas/{kata.id}/{name}": content for name, content in _kata_files(course, kata, hidden)}
        except CourseFault as fault:
            faults += fault.faults
    if faults:
        raise CourseFault(faults)
    return files


def _notebooks(course: Course, kata: Kata, files: Files) -> Iterator[tuple[str, bytes]]:
    """The kata as a notebook in each language in which it has a statement: `lstm.ipynb`, `lstm.zh.ipynb`."""
    stub = files[f"katas/{kata.id}/{kata.stub.name}"].decode().rstrip("\n")
    for code in course.languages:
        if kata.statement(code).is_file():
            name, told = (kata.slug, "") if code == SOURCE else (f"{kata.slug}.{code}", f" --lang {code}")
            yield f"katas/{kata.id}/{name}{SUFFIX}", notebook(kata, kata.folder, Language(code), stub, told).encode()


def _own(course: Course, name: str) -> str:
    """A file of the course's own; "" where it has none."""
    path = course.root / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _kata_files(course: Course, kata: Kata, hidden: bool) -> Iterator[tuple[str, bytes]]:
    """The stub as it is generated, manifest, suite and statement, and the data that the suite names."""
    stub = generated(course, kata).encode()
    yield kata.stub.name, stub
    yield f"{kata.slug}{ORIGINAL}", stub  # for `grade reset`
    yield "kata.toml", _manifest(kata, hidden).encode()
    read = suite.read(kata.suite, f"katas/{kata.id}/{kata.suite.name}")
    if not read.whole:
        raise CourseFault([Fault(finding.where, wanted=text(finding.message)) for finding in read.findings])
    source = read.text
    for path in sorted(kata.folder.iterdir()):
        is_data = (
            path.suffix not in (".py", ".toml") and path.name in source and path.name not in (RECORDING, diagnosis.FILE)
        )
        statements = [PAGES[language][0] for language in course.languages]
        told = path.name in (kata.suite.name, *statements, *(f"{language}.po" for language in course.languages[1:]))
        if (told or is_data) and path.is_file() and not path.is_symlink():
            yield path.name, path.read_bytes()
    recording = record(course, kata)
    if recording is not None:
        yield RECORDING, recording
    prints = fingerprints.released(Subject(course, kata)) if course.settings.diagnosis else None
    if prints is not None:
        yield diagnosis.FILE, prints


def _manifest(kata: Kata, hidden: bool) -> str:
    """The manifest, comments kept, without what is outside the release.

    That is its hidden tests, their number and the points of kinds that only they have, and the katas that it requires
    and that were not chosen.
    """
    before = (kata.folder / "kata.toml").read_bytes().decode("utf-8-sig")
    wanted, released = tomllib.loads(before), before
    for name, ids in (("requires", kata.requires), ("recommends", kata.recommends)):
        if tuple(wanted.get(name, ())) != ids:
            released = manifest.with_list(released, name, ids)
            wanted[name] = list(ids)
    if kata.hidden is not None and not hidden:
        tests = suite.read(kata.suite, kata.suite.name).tests
        kinds = {test.kind for test in tests}
        released = manifest.with_number(released, "tests", len(tests))
        released = manifest.without_points(released, sorted(set(kata.points) - kinds))
        wanted["tests"] = len(tests)
        wanted["points"] = {kind: value for kind, value in wanted["points"].items() if kind in kinds}
    if not manifest.says(released, wanted):
        help = text("write `tests = N`, `requires = [...]` and a table [points] with one kind a line")
        raise CourseFault([Fault(kata.manifest, wanted=text("cannot be rewritten for a release"), help=help)])
    return released


def grader_files() -> Files:
    """The grader and its licence, without what is for authors."""
    files: Files = {"grader/LICENSE": pages.licence().encode()}
    for path in sorted(pages.PACKAGE.rglob("*")):
        name = path.relative_to(pages.PACKAGE)
        kept = path.suffix in _SUFFIXES and "__pycache__" not in name.parts
        if kept and path.is_file() and not any(PurePosixPath(name).is_relative_to(each) for each in _OF_AUTHORS):
            files[f"grader/{name.as_posix()}"] = path.read_bytes()
    return files
