"""What a learner's repository holds: stubs, suites, statements, data and the grader; no answer of any kind.

Every file is made in memory, so nothing is written before all of it is known to be right.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from grader import diagnosis
from grader.authoring.making.recorded import record
from grader.authoring.proving import fingerprints, suite
from grader.authoring.proving.statement import PAGES
from grader.authoring.proving.subject import Subject
from grader.course import Course
from grader.errors import CourseFault, Fault
from grader.judge.recorded import FILE as RECORDING
from grader.kata import Kata
from grader.messages import text
from grader.settings import FILE as SETTINGS
from grader.stub import ORIGINAL, generated

PACKAGE = Path(__file__).parents[2]
_TEMPLATES = Path(__file__).parent / "template"
_COPIED = ("LICENSE", "CHANGELOG.md", ".gitignore", "katas/README.md")
_WORKFLOW = ".github/workflows/grade.yml"
_ACTIONS = tuple(f".github/actions/{name}/action.yml" for name in ("grade", "record"))
_OF_AUTHORS = re.compile(r"project\.optional-dependencies|tool\.(?:ruff|mypy)(?:\..*)?")

Files = dict[str, bytes]  # by path in the release


def contents(course: Course) -> Files:
    """Every file of a release; raises CourseFault with all faults of all katas."""
    files: Files = {}
    faults: list[Fault] = []
    for kata in course.katas:
        try:
            files |= {f"katas/{kata.id}/{name}": content for name, content in _kata_files(course, kata)}
        except CourseFault as fault:
            faults += fault.faults
    settings = course.root / SETTINGS
    if settings.is_file():
        files[SETTINGS] = settings.read_bytes()
    for name in (*_COPIED, _WORKFLOW, *_ACTIONS, "pyproject.toml"):
        path = next((root / name for root in (course.root, PACKAGE.parent) if (root / name).is_file()), None)
        if path is not None:
            files[name] = path.read_bytes()
        elif name == "pyproject.toml":
            faults.append(Fault(name, wanted=text("is missing: a release is installed by it")))
    if faults:
        raise CourseFault(faults)
    files |= {f"grader/{name}": content for name, content in _package_files()}
    project = _project(files["pyproject.toml"].decode())
    files["pyproject.toml"] = project.encode()
    files |= {
        name: page.encode() for name, page in _pages(course, tomllib.loads(project)["project"]["name"], files).items()
    }
    if _WORKFLOW in files:  # a template's copies are no forks, and the template itself has nothing to grade
        whose = (b"github.event.repository.fork", b"!github.event.repository.is_template")
        files[_WORKFLOW] = files[_WORKFLOW].replace(*whose)
    return {name: _linked(name, content, files) for name, content in sorted(files.items())}


def _kata_files(course: Course, kata: Kata) -> Iterator[tuple[str, bytes]]:
    """The stub as it is generated, manifest, suite and statement, and the data that the suite names."""
    stub = generated(course, kata).encode()
    yield kata.stub.name, stub
    yield f"{kata.slug}{ORIGINAL}", stub  # for `grade reset`
    yield "kata.toml", _manifest(kata).encode()
    source = kata.suite.read_text(encoding="utf-8")
    for path in sorted(kata.folder.iterdir()):
        is_data = (
            path.suffix not in (".py", ".toml") and path.name in source and path.name not in (RECORDING, diagnosis.FILE)
        )
        pages = [PAGES[language][0] for language in course.languages]
        told = path.name in (kata.suite.name, *pages, *(f"{language}.po" for language in course.languages[1:]))
        if (told or is_data) and path.is_file() and not path.is_symlink():
            yield path.name, path.read_bytes()
    recording = record(course, kata)
    if recording is not None:
        yield RECORDING, recording
    prints = fingerprints.released(Subject(course, kata))
    if prints is not None:
        yield diagnosis.FILE, prints


def _manifest(kata: Kata) -> str:
    """The manifest without its hidden tests: their number and the points of kinds that only they have, comments kept."""
    manifest = (kata.folder / "kata.toml").read_bytes().decode("utf-8-sig")
    if kata.hidden is None:
        return manifest
    tests = suite.read(kata.suite, kata.suite.name).tests
    gone = set(kata.points) - {test.kind for test in tests}
    before, header, points = (
        re.split(r"(?m)^([ \t]*\[points\].*\n)", manifest, maxsplit=1) if "[points]" in manifest else (manifest, "", "")
    )
    before = re.sub(r"(?m)^(tests[ \t]*=[ \t]*)\d+", rf"\g<1>{len(tests)}", before, count=1)
    for kind in sorted(gone):
        points = re.sub(rf"(?m)^[ \t]*{kind}[ \t]*=.*\n", "", points, count=1)
    wanted = tomllib.loads(manifest)
    wanted["tests"] = len(tests)
    wanted["points"] = {kind: value for kind, value in wanted["points"].items() if kind not in gone}
    released = before + header + points
    if tomllib.loads(released) != wanted:
        help = text("write `tests = N` and a table [points] with one kind a line")
        raise CourseFault([Fault(kata.manifest, wanted=text("cannot be rewritten for a release"), help=help)])
    return released


def _package_files() -> Iterator[tuple[str, bytes]]:
    for path in sorted(PACKAGE.rglob("*")):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and path.suffix in (".py", ".json", ".md", ".in", ".mo", ".typed")
        ):
            yield path.relative_to(PACKAGE).as_posix(), path.read_bytes()


def _pages(course: Course, title: str, files: Files) -> dict[str, str]:
    """The README and the Makefile of a learner."""

    def row(kata: Kata) -> str:
        pages = {code: f"katas/{kata.id}/{PAGES[code][0]}" for code in ("en", "zh")}
        linked, linked_zh = (
            f"[{name}]({path})" if path in files else name
            for name, path in ((kata.title, pages["en"]), (kata.title_zh, pages["zh"]))
        )
        stars = "★" * kata.difficulty + "☆" * (5 - kata.difficulty)
        return f"| {kata.number} | {linked}: {kata.blurb} | {linked_zh} | {kata.minutes} | {stars} |"

    first = course.katas[0]
    words = {"title": title, "katas": "\n".join(map(row, course.katas)), "first": first.slug, "first_id": first.id}
    return {
        name: Template((_TEMPLATES / f"release.{name}.in").read_text(encoding="utf-8")).substitute(words)
        for name in ("README.md", "Makefile")
    }


def _project(text: str) -> str:
    """The project's settings without those of its authors' tools."""
    tables = re.split(r"(?m)^(?=\[)", text)
    kept = [table for table in tables if not _OF_AUTHORS.fullmatch(table.partition("]")[0].strip("["))]
    text = re.sub(r"(?m)^norecursedirs = .*\n", "", "".join(kept))
    return text.rstrip() + "\n"


def _linked(name: str, content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A page without the paragraphs that lead to what is not in the release."""
    if not name.endswith(".md"):
        return content
    paragraphs = content.decode().split("\n\n")
    return "\n\n".join(each for each in paragraphs if not _dead(name, each, files)).rstrip("\n").encode() + b"\n"


def _dead(name: str, paragraph: str, files: Mapping[str, bytes]) -> bool:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", paragraph) if "://" not in link]
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) for link in links if link]
    return any(path not in files and not any(each.startswith(f"{path}/") for each in files) for path in paths)
