"""A course of one kata, fresh from `grade new`, to be broken in one place; and trials of it on a shared bench."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from grader.authoring.making.new import new
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.subject import Subject
from grader.cli import main
from grader.course import Course, find
from grader.settings import Settings
from grader.store import Store

ID = "51_my_topic"
SHORT = {
    "kata.toml": f"katas/{ID}/kata.toml",
    "page": f"katas/{ID}/README.md",
    "chinese page": f"katas/{ID}/README.zh.md",
    "zh.po": f"katas/{ID}/zh.po",
    "suite": f"katas/{ID}/test_my_topic.py",
    "stub": f"katas/{ID}/my_topic.py",
    "reference": f"reference/{ID}/my_topic.py",
    "mistakes.toml": f"reference/{ID}/mistakes.toml",
    "strength.toml": f"reference/{ID}/strength.toml",
    "variant": f"reference/{ID}/variants/one_by_one.py",
}
Edits = Mapping[str, tuple[str, str] | str | bytes | None]


def scaffold(root: Path, worker: str = "numpy") -> Course:
    """A course at `root` with nothing but a new kata."""
    (root / "katas").mkdir(parents=True)
    (root / "course.toml").write_text('format_version = 1\nlanguages = ["en", "zh"]\n', encoding="utf-8")
    new(Course(root, (), Settings(languages=("en", "zh"))), ID, worker=worker)
    return find(root, root)


def edited(course: Course, root: Path, edits: Edits) -> Subject:
    """The kata of a copy at `root`, with files edited: (old, new) text, all of the text or bytes, or None for no file.

    Files go by their short names, or by their path in the course. Old text stands there exactly once.
    """
    shutil.copytree(course.root, root, ignore=shutil.ignore_patterns(".grade", "__pycache__"), dirs_exist_ok=True)
    for name, edit in edits.items():
        path = root / SHORT.get(name, name)
        match edit:
            case None:
                path.unlink()
            case str() | bytes():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(edit.encode() if isinstance(edit, str) else edit)
            case old, fresh:
                text = path.read_text(encoding="utf-8")
                assert text.count(old) == 1, (name, old)
                path.write_text(text.replace(old, fresh), encoding="utf-8")
    changed = find(root, root)
    return Subject(changed, changed.katas[0])


def new_bench(folder: Path) -> Bench:
    """A bench with a store of its own; to be closed."""
    return Bench(Store(folder, lambda text: None))


def judge(bench: Bench, subject: Subject, trials: Iterable[Trial], seeds: int = 1) -> Evidence:
    """The evidence that these trials give, and those that they call for."""
    evidence = Evidence(subject, seeds)
    for asked in (list(trials), evidence.doubtful()):
        left = list(asked)
        outcomes = bench.run([(subject, trial) for trial in left])
        evidence.found.update(zip(left, outcomes, strict=True))
    return evidence


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The command with these words in this process: its exit code, its output, and what went to standard error."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capsys.readouterr()
