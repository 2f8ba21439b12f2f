"""Whose a file is, by the names that learning platforms give what they deliver; never by what a learner wrote.

Canvas: `doejane_12345_67890_lstm.py`, `doejane_LATE_12345_67890_lstm.py`, and of a quiz
`doejane_12345_question_9_67890_lstm.py`. Moodle: `Jane Doe_12345_assignsubmission_file_`
as a folder, or before each file's name. Gradescope: `submission_12345`, with a list beside them that says whose each is.
GitHub Classroom and `git clone`: a folder `assignment-login`. Everybody else: a folder or an archive with the student's id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.classroom.archives import SUFFIXES, UNREAD

_CANVAS = re.compile(r"([^_]+)_(LATE_)?(\d+)_(?:question_\d+_)?(\d+)_(.+)", re.DOTALL)
_MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)(?:_(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Label:
    """What the name of a folder or file at the top says.

    keys: under which a roster may know the student, the surest first; rest: what the student called the file, "" for a folder
    """

    id: str
    name: str = ""
    keys: tuple[str, ...] = ()
    rest: str = ""
    late: bool = False


def label(top: str, is_folder: bool) -> Label | None:
    """The label in the name of a folder, or of a file at the top; None where it says nothing of a student."""
    if found := _MOODLE.fullmatch(top):
        name, number, rest = found.groups()
        if is_folder or rest:
            return Label(number, name, (number, name), rest or "")
    if not is_folder and (found := _CANVAS.fullmatch(top)):
        name, late, user, _, rest = found.groups()
        return Label(user, name, (user, name), rest, bool(late))
    if is_folder:
        return Label(top, keys=(top,))
    stem = archive_stem(top)
    return Label(stem, keys=(stem,), rest=top) if stem else None


def archive_stem(name: str) -> str:
    """The name of an archive without its ending; "" for another file."""
    endings = [ending for ending in (*SUFFIXES, *UNREAD) if name.lower().endswith(ending)]
    return name[: -len(max(endings, key=len))] if endings else ""


def common_start(ids: list[str]) -> str:
    """What all folders of a clone begin with, up to a hyphen: the assignment's name; "" where there is nothing."""
    if len(ids) < 2:
        return ""
    low, high = min(ids), max(ids)
    shared = next(
        (place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(map(len, (low, high)))
    )
    return low[: low.rfind("-", 0, shared) + 1]


def owners(listed: bytes) -> dict[str, list[tuple[str, ...]]]:
    """From Gradescope's list, under which keys the students of each submission are known; nothing where it cannot be read."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(listed, Loader=loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    found: dict[str, list[tuple[str, ...]]] = {}
    for id, told in document.items() if isinstance(document, dict) else ():
        people = told.get(":submitters") if isinstance(told, dict) else None
        for person in people if isinstance(people, list) else ():
            if isinstance(person, dict):
                keys = [person.get(key) for key in (":sid", ":email", ":name")]
                if named := tuple(str(key) for key in keys if key not in (None, "")):
                    found.setdefault(str(id), []).append(named)
    return found
