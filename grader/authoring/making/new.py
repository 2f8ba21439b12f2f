"""A new kata begins as a small one that is complete: every file is there, every rule holds, and an author changes it."""

from __future__ import annotations

import json
import keyword
import re
import shutil
import sys
from pathlib import Path
from string import Template

from grader.authoring.making.stubs import remember
from grader.authoring.proving.catalogue import in_step, read, template, written
from grader.authoring.proving.texts import told
from grader.course import Course
from grader.errors import UsageFault, did_you_mean
from grader.messages import Message, text
from grader.store import Store
from grader.stub import make_stub

_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_ID = re.compile(r"(?P<number>[0-9]{2,3})_(?P<slug>[a-z][a-z0-9_]*)")
_TEMPLATES = Path(__file__).parent / "template"
_IN_CHINESE = re.compile(r"^(?:\w+_)?zh = .*\n", re.MULTILINE)  # of a manifest or of mistakes
_LIBRARIES = {"numpy", "torch", "scipy", "sklearn", "pytest", "grader"}

_WORDS = {
    "numpy": {
        "import": "import numpy as np",
        "module": "np",
        "Array": "np.ndarray",
        "Number": "float",
        "array": "array",
    },
    "torch": {
        "import": "import torch\nfrom torch import Tensor",
        "module": "torch",
        "Array": "Tensor",
        "Number": "Tensor",
        "array": "tensor",
    },
}


def numbered(course: Course, name: str) -> str:
    """The id itself; a slug alone gets the next number that is free."""
    return f"{_free(course)}_{name}" if _SLUG.fullmatch(name) else name


def new(
    course: Course, name: str, *, worker: str = "torch", title: str = "", title_zh: str = "", track: str = ""
) -> list[Path]:
    """Write the files of the kata `name` and return their paths; raises UsageFault, before writing, where it cannot be."""
    number, slug = _checked(course, name)
    words = _words(name, number, slug, worker, title, title_zh)
    words |= {"track": json.dumps(_track(course, track), ensure_ascii=False), "points": _points(course)}
    files = {
        course.root / path: content for path, content in _files(name, slug, worker, words, course.languages).items()
    }
    folders = [course.root / place / name for place in ("katas", "reference")]
    for folder in folders:
        if folder.exists() or folder.is_symlink():
            raise UsageFault(
                text("{folder} exists already", folder=str(folder.relative_to(course.root))),
                text("choose another id, or move it away"),
            )
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise UsageFault(
            text("cannot write {file}: {reason}", file=str(error.filename), reason=error.strerror)
        ) from None
    store = Store(course.root, lambda said: None)
    remember(name, files[course.root / f"katas/{name}/{slug}.py"].encode(), store)  # so that `grade stub` replaces it
    store.close()
    return list(files)


def next_steps(name: str) -> Message:
    """What an author does after `grade new`."""
    return text(_NEXT_STEPS, id=name, slug=name.partition("_")[2])


_NEXT_STEPS = """\
{id} is complete and small: a line, fitted by gradient descent. Turn it into yours, in this order:

  1. reference/{id}/{slug}.py
     the solution; what stands between its markers is cut out of the stub, which `grade stub {slug}` writes
  2. katas/{id}/test_{slug}.py and kata.toml
     the suite, each test with one kind and a line for the learner; their number, points, limits and three hints
  3. katas/{id}/README.md
     the statement; and both in each further language of course.toml, as README.zh.md and zh.po are in Chinese
  4. reference/{id}/mistakes.toml and variants/
     six or more wrong solutions, each with the test that catches it; two or three right ones in another style

  grade --from reference {slug}    scores every point
  grade check --record {slug}      says what a machine can say, and puts on record how strict the suite is"""


def _checked(course: Course, name: str) -> tuple[int, str]:
    """The number and the slug of an id that is free."""
    parts = _ID.fullmatch(name)
    if parts is None:
        raise UsageFault(
            text("{name!r} is no id of a kata", name=name),
            text("an id is two or three digits, an underscore and a slug of a-z, 0-9 and _: 51_my_topic"),
        )
    number, slug = int(parts["number"]), parts["slug"]
    if number == 0:
        raise UsageFault(text("{name}: katas are numbered from 1", name=name), _try(f"{_free(course)}_{slug}"))
    if keyword.iskeyword(slug) or slug in sys.stdlib_module_names or slug in _LIBRARIES:
        raise UsageFault(
            text("{name}: a file {slug}.py would hide Python's own {slug}", name=name, slug=slug),
            _try(f"{parts['number']}_my_{slug}"),
        )
    for kata in course.katas:
        taken = {kata.id, kata.slug, *kata.aliases} & {name, slug}
        if kata.number == number or taken:
            if taken:
                said = text("{name}: {kata} has the name {taken} already", name=name, kata=kata.id, taken=min(taken))
            else:
                said = text("{name}: {kata} has the number {number} already", name=name, kata=kata.id, number=number)
            raise UsageFault(said, text("the next free number is {number}", number=_free(course)))
    return number, slug


def _try(name: str) -> Message:
    return text("try {name}", name=name)


def _free(course: Course) -> str:
    return f"{max((kata.number for kata in course.katas), default=0) + 1:02}"


def _track(course: Course, asked: str) -> str:
    """The track that is asked for; else that of the last kata, or the first one of the course."""
    tracks = course.settings.tracks
    if asked and tracks and asked not in tracks:
        raise UsageFault(
            text("the course has no track {track!r}", track=asked),
            did_you_mean(asked, tracks) or text("the tracks are {tracks}", tracks=[*tracks]),
        )
    return asked or next((kata.track for kata in reversed(course.katas)), [*tracks, "foundations"][0])


def _points(course: Course) -> str:
    """The lines of the table [points]."""
    return "\n".join(f"{kind} = {points:g}" for kind, points in course.settings.points.items())


def _words(name: str, number: int, slug: str, worker: str, title: str, title_zh: str) -> dict[str, str]:
    """What the templates leave open."""
    title = title.strip() or slug.replace("_", " ").capitalize()
    title_zh = title_zh.strip() or f"从零实现 {title}"
    for each in (title, title_zh):
        if not each.isprintable() or any(character in each for character in '"\\'):
            raise UsageFault(
                text("the title {title!r} is not plain text", title=each),
                text("leave out quotation marks, backslashes and line ends"),
            )
    return {
        "id": name,
        "number": str(number),
        "slug": slug,
        "title": title,
        "title_zh": title_zh,
        "worker": worker,
        **_WORDS[worker],
    }


def _files(name: str, slug: str, worker: str, words: dict[str, str], languages: tuple[str, ...]) -> dict[str, str]:
    """All files of the kata by their path in the course, in the languages that the course has."""

    def filled(page: str) -> str:
        content = Template((_TEMPLATES / f"{page}.in").read_text(encoding="utf-8")).substitute(words)
        return content if "zh" in languages or page.endswith(".py") else _IN_CHINESE.sub("", content)

    reference = filled("reference.py")
    suite = filled(f"suite_{worker}.py")
    catalogue = in_step(read(_TEMPLATES / "zh.po.in", "zh"), template({"": told(suite, suite=True)}))
    chinese = {f"katas/{name}/README.zh.md": filled("README.zh.md"), f"katas/{name}/zh.po": written(catalogue)}
    return (chinese if "zh" in languages else {}) | {
        f"katas/{name}/kata.toml": filled("kata.toml"),
        f"katas/{name}/README.md": filled("README.md"),
        f"katas/{name}/{slug}.py": make_stub(reference, f"reference/{name}/{slug}.py"),
        f"katas/{name}/test_{slug}.py": suite,
        f"reference/{name}/{slug}.py": reference,
        f"reference/{name}/mistakes.toml": filled("mistakes.toml"),
        f"reference/{name}/strength.toml": filled(f"strength_{worker}.toml"),
        f"reference/{name}/variants/one_by_one.py": filled("variant.py"),
    }
