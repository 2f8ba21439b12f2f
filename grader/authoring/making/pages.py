"""The pages and the settings that are made for a repository, from the templates beside this file."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from string import Template

from grader import __version__
from grader.authoring.proving.statement import PAGES
from grader.course import Course
from grader.kata import Kata

PACKAGE = Path(__file__).parents[2]
_TEMPLATES = Path(__file__).parent / "template"
_ON_GITHUB = (
    ".github/workflows/grade.yml",
    ".github/actions/grade/action.yml",
    ".github/actions/record/action.yml",
)
_DISTRIBUTION = "gradkata"
_FORK = """\
Each push is graded there too, on what changed. Green means that nothing that passed before got worse; what is to do is not red.
What has passed is kept on the branch `kata-history`, with a badge, `badge.svg`. For that, let workflows write, in the
repository's settings under Actions."""
_CLASSROOM = """\
Each push is graded by GitHub Classroom, which shows the points. Red means that something that you wrote is wrong; what is
to do is not red."""


def filled(template: str, **words: str) -> str:
    """A template, with its words in their places."""
    return Template(verbatim(template)).substitute(words)


def verbatim(template: str) -> str:
    """A template that has no places for words."""
    return (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")


def on_github() -> dict[str, str]:
    """The workflow that grades a fork and what is handed in, and its actions: the project's, of which an installation has copies."""
    return {name: _shipped(name) for name in _ON_GITHUB}


def _shipped(name: str) -> str:
    beside = PACKAGE.parent / name
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    place = ("share", "gradkata", *Path(name).parts[1:])
    (copy,) = (file for file in metadata.files(_DISTRIBUTION) or [] if file.parts[-len(place) :] == place)
    return Path(str(copy.locate())).read_text(encoding="utf-8")


def licence() -> str:
    """The licence of the grader, which goes where the grader goes."""
    return metadata.distribution(_DISTRIBUTION).read_text("licenses/LICENSE") or ""


def slug(name: str) -> str:
    """The name of a course as the name of a package."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "course"


def project(course: Course, *, published: bool) -> str:
    """The `pyproject.toml` by which `pip install .` makes a repository ready to grade.

    With `published` it depends on the grader of this version; else it is the grader, which the repository carries.
    """
    needed = [f"{_DISTRIBUTION}=={__version__}"] if published else _requirements()
    listed = "".join(f"  {json.dumps(each)},\n" for each in needed)
    words = {"dependencies": f"[\n{listed}]", "description": json.dumps(f"Katas: {course.name}", ensure_ascii=False)}
    if published:
        return filled("pyproject.published.toml", name=f"{slug(course.name)}-katas", **words)
    return filled("pyproject.carried.toml", version=__version__, **words)


def readme(course: Course, files: Iterable[str], recommended: Mapping[str, str], *, classroom: bool) -> str:
    """The README of a learner: the katas that are in, what they recommend that is not, and who grades a push."""
    known = set(files)
    chinese = "zh" in course.languages

    def linked(kata: Kata, title: str, language: str) -> str:
        path = f"katas/{kata.id}/{PAGES[language][0]}"
        return f"[{title}]({path})" if path in known else title

    def row(kata: Kata) -> str:
        cells = [str(kata.number), f"{linked(kata, kata.title, 'en')}: {kata.blurb}"]
        cells += [linked(kata, kata.title_zh, "zh")] if chinese else []
        return f"| {' | '.join([*cells, str(kata.minutes), '★' * kata.difficulty + '☆' * (5 - kata.difficulty)])} |"

    heads = ["", "kata", *([""] if chinese else []), "minutes", "difficulty"]
    table = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *map(row, course.katas)]
    first = course.katas[0]
    return filled(
        "release.README.md",
        title=course.name,
        katas="\n".join(table) + _recommendations(course, recommended),
        first=first.slug,
        first_id=first.id,
        on_github=_CLASSROOM if classroom else _FORK,
    )


def makefile(course: Course) -> str:
    return filled("release.Makefile", first=course.katas[0].slug)


def without_dead_links(name: str, content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A page without the paragraphs that lead to what is not in the release."""
    if not name.endswith(".md"):
        return content
    paragraphs = content.decode().split("\n\n")
    return "\n\n".join(each for each in paragraphs if not _dead(name, each, files)).rstrip("\n").encode() + b"\n"


def _recommendations(course: Course, titles: Mapping[str, str]) -> str:
    """Which katas build on what is not in here."""
    lines = [
        f"- {kata.id} builds on {', '.join(f'{titles[id]} ({id})' for id in outside)}"
        for kata in course.katas
        if (outside := [id for id in kata.recommends if id in titles])
    ]
    head = "\n\nGood to have done before, and not in here:\n\n"
    return head + "\n".join(lines) if lines else ""


def _requirements() -> list[str]:
    """What the grader needs to run: as its clone says it, whenever that was installed, else as its installation does."""
    beside = PACKAGE.parent / "pyproject.toml"
    project = tomllib.loads(beside.read_text(encoding="utf-8")).get("project", {}) if beside.is_file() else {}
    if project.get("name") == _DISTRIBUTION:
        return list(project["dependencies"])
    return [each for each in metadata.requires(_DISTRIBUTION) or [] if "extra ==" not in each]


def _dead(name: str, paragraph: str, files: Mapping[str, bytes]) -> bool:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", paragraph) if "://" not in link]
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) for link in links if link]
    return any(path not in files and not any(each.startswith(f"{path}/") for each in files) for path in paths)
