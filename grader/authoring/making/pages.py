"""The pages and the settings that are made for a repository, from the templates beside this file."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from string import Template

from grader import __version__
from grader.authoring.proving.statement import PAGES
from grader.course import Course
from grader.kata import Kata
from grader.study.listing import stars

PACKAGE = Path(__file__).parents[2]
_TEMPLATES = Path(__file__).parent / "template"
_ON_GITHUB = (
    ".github/workflows/grade.yml",
    ".github/actions/grade/action.yml",
    ".github/actions/record/action.yml",
)
_DISTRIBUTION = "gradkata"
_FORK = {
    "en": """\
Each push is graded there too, on what changed. Green means that nothing that passed before got worse; what is to do is not red.
What has passed is kept on the branch `kata-history`, with a badge, `badge.svg`. For that, let workflows write, in the
repository's settings under Actions.""",
    "zh": """\
每次推送也会在那里评分，只评有改动的。绿色表示从前通过的没有变差；还没写的不算红。已经通过的记在分支 `kata-history` 上，还有一枚徽章
`badge.svg`。为此请在仓库的 Actions 设置里允许工作流写入。""",
}
_CLASSROOM = {
    "en": """\
Each push is graded by GitHub Classroom, which shows the points. Red means that something that you wrote is wrong; what is
to do is not red.""",
    "zh": "每次推送都由 GitHub Classroom 评分并显示分数。红色表示你写的某处有错；还没写的不算红。",
}
_SPOKEN = {"zh": "中文"}
_HEADS = {"en": ("kata", "minutes", "difficulty"), "zh": ("练习", "分钟", "难度")}
_AFTER = {
    "en": ("Good to have done before, and not in here:", "{kata} builds on {others}"),
    "zh": ("最好先做过，但这里没有的：", "{kata} 以 {others} 为基础"),
}


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


def beginning(title: str, languages: Sequence[str]) -> dict[str, str]:
    """The README of a course that begins, in each of its languages, by name."""
    made = {PAGES[code][0]: filled(f"course.{PAGES[code][0]}", title=title) for code in languages}
    return made | {"README.md": linking(made["README.md"], languages)}


def licence() -> str:
    """The licence of the grader, which goes where the grader goes."""
    return metadata.distribution(_DISTRIBUTION).read_text("licenses/LICENSE") or ""


def slug(name: str) -> str:
    """The name of a course as the name of a package."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "course"


def project(course: Course, *, published: bool, notebooks: bool = False) -> str:
    """The `pyproject.toml` by which `pip install .` makes a repository ready to grade.

    With `published` it depends on the grader of this version; else it is the grader, which the repository carries. With
    `notebooks` it brings what these take.
    """
    extra = "[notebook]" * notebooks
    needed = [f"{_DISTRIBUTION}{extra}=={__version__}"] if published else _requirements(notebooks)
    listed = "".join(f"  {json.dumps(each)},\n" for each in needed)
    words = {"dependencies": f"[\n{listed}]", "description": json.dumps(f"Katas: {course.name}", ensure_ascii=False)}
    if published:
        return filled("pyproject.published.toml", name=f"{slug(course.name)}-katas", **words)
    return filled("pyproject.carried.toml", version=__version__, **words)


def readmes(
    course: Course, files: Iterable[str], recommended: Mapping[str, Kata], *, classroom: bool
) -> dict[str, str]:
    """The README of a learner in each language of the course, by name.

    It lists the katas that are in, what they recommend that is not, and who grades a push.
    """
    known = set(files)
    return {PAGES[code][0]: _readme(course, code, known, recommended, classroom) for code in course.languages}


def _readme(course: Course, code: str, known: set[str], recommended: Mapping[str, Kata], classroom: bool) -> str:
    def linked(kata: Kata, language: str) -> str:
        path = f"katas/{kata.id}/{PAGES[language][0]}"
        return f"[{kata.title_in(language)}]({path})" if path in known else kata.title_in(language)

    def row(kata: Kata) -> str:
        cells = [str(kata.number), f"{linked(kata, code)}: {kata.blurb_in(code)}"]
        cells += [linked(kata, other) for other in others]
        return f"| {' | '.join([*cells, str(kata.minutes), stars(kata.difficulty)])} |"

    others = [other for other in course.languages if other != code]
    what, *measures = _HEADS[code]
    heads = ["", what, *("" for _ in others), *measures]
    table = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *map(row, course.katas)]
    first = course.katas[0]
    page = filled(
        f"release.{PAGES[code][0]}",
        title=course.name,
        katas="\n".join(table) + _recommendations(course, code, recommended),
        first=first.slug,
        first_id=first.id,
        on_github=(_CLASSROOM if classroom else _FORK)[code],
    )
    return linking(page, course.languages) if code == "en" else page


def linking(page: str, languages: Sequence[str]) -> str:
    """An English page that leads, below its title, to the same in the other languages."""
    links = " · ".join(f"[{_SPOKEN[code]}]({PAGES[code][0]})" for code in languages if code != "en")
    title, rest = page.split("\n\n", 1)
    return "\n\n".join([title, *([links] if links else []), rest])


def makefile(course: Course) -> str:
    return filled("release.Makefile", first=course.katas[0].slug)


def without_dead_links(name: str, content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A page without the paragraphs that lead to what is not in the release."""
    if not name.endswith(".md"):
        return content
    paragraphs = content.decode().split("\n\n")
    return "\n\n".join(each for each in paragraphs if not _dead(name, each, files)).rstrip("\n").encode() + b"\n"


def _recommendations(course: Course, code: str, recommended: Mapping[str, Kata]) -> str:
    """Which katas build on what is not in here."""
    head, line = _AFTER[code]
    lines = [
        "- " + line.format(kata=kata.id, others=", ".join(f"{recommended[id].title_in(code)} ({id})" for id in outside))
        for kata in course.katas
        if (outside := [id for id in kata.recommends if id in recommended])
    ]
    return f"\n\n{head}\n\n" + "\n".join(lines) if lines else ""


def _requirements(notebooks: bool) -> list[str]:
    """What the grader needs to run: as its clone says it, whenever that was installed, else as its installation does."""
    beside = PACKAGE.parent / "pyproject.toml"
    project = tomllib.loads(beside.read_text(encoding="utf-8")).get("project", {}) if beside.is_file() else {}
    if project.get("name") == _DISTRIBUTION:
        return [*project["dependencies"], *(project["optional-dependencies"]["notebook"] if notebooks else [])]
    found = [each.partition("; extra ==") for each in metadata.requires(_DISTRIBUTION) or []]
    return [need for need, _, extra in found if not extra or (notebooks and extra.strip(" \"'") == "notebook")]


def _dead(name: str, paragraph: str, files: Mapping[str, bytes]) -> bool:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", paragraph) if "://" not in link]
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) for link in links if link]
    return any(path not in files and not any(each.startswith(f"{path}/") for each in files) for path in paths)
