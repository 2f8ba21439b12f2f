"""Everything of one kata that lies on disk, read once: its manifest, suites, reference, variants, mistakes and zoo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grader.authoring.proving import mistakes, suite, zoo
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.finding import Finding, read_text
from grader.authoring.proving.mistakes import Mistakes
from grader.authoring.proving.suite import Suite, Test
from grader.course import Course
from grader.kata import Kata


@dataclass(frozen=True)
class Subject:
    """One kata under examination. Its files are named from the root of the course."""

    course: Course
    kata: Kata

    @property
    def root(self) -> Path:
        return self.course.root

    @property
    def id(self) -> str:
        return self.kata.id

    @property
    def shown(self) -> str:
        return f"katas/{self.kata.folder.name}"

    @property
    def behind(self) -> Path:
        """The folder that a release leaves out."""
        return self.root / "reference" / self.kata.id

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    @cached_property
    def suites(self) -> tuple[Suite, ...]:
        paths = [self.kata.suite, *([self.kata.hidden] if self.kata.hidden else [])]
        return tuple(suite.read(path, self.name(path)) for path in paths)

    @property
    def readable(self) -> bool:
        """Whether every suite is Python; where one is not, nothing is known of its tests."""
        return all(each.whole for each in self.suites)

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        return tuple(test for each in self.suites for test in each.tests)

    @cached_property
    def by_name(self) -> dict[str, Test]:
        return {test.name: test for test in self.tests}

    @property
    def stub_file(self) -> str:
        return f"{self.shown}/{self.kata.stub.name}"

    @property
    def reference_file(self) -> str:
        return self.name(self.behind / f"{self.kata.slug}.py")

    @property
    def mistakes_file(self) -> str:
        return self.name(self.behind / "mistakes.toml")

    @cached_property
    def stub(self) -> str | None:
        """The stub's text; None where it is missing or no Python."""
        return _python(self.kata.stub)

    @cached_property
    def reference(self) -> str | None:
        """The reference's text; None where it is missing or no Python."""
        return _python(self.behind / f"{self.kata.slug}.py")

    @cached_property
    def mistakes(self) -> Mistakes:
        path = self.behind / "mistakes.toml"
        if self.reference is None or not path.is_file():
            return Mistakes()
        text = read_text("mistakes", path, self.mistakes_file)
        if isinstance(text, Finding):
            return Mistakes(findings=(text,))
        variants = {case.name: case.source.decode("utf-8", "replace") for case in self.variants}
        languages = self.course.languages[1:]
        return mistakes.read(text, self.mistakes_file, self.reference, languages, variants)

    @cached_property
    def variants(self) -> tuple[Case, ...]:
        paths = sorted((self.behind / "variants").glob("*.py"))
        return tuple(Case(Role.VARIANT, path.stem, path.read_bytes(), self.name(path)) for path in paths)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The reference first, then the variants, the mistakes and the zoo."""
        return tuple(self._cases())

    def of(self, role: Role) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.role is role)

    def _caught(self, mistake: str) -> str:
        return next(each.caught_by for each in self.mistakes.mistakes if each.id == mistake)

    def _cases(self) -> Iterator[Case]:
        if self.reference is not None:
            yield Case(Role.REFERENCE, self.kata.slug, self.reference.encode(), self.reference_file)
            yield from (case for case in self.variants if _python(self.root / case.file) is not None)
            for again in self.mistakes.again:
                name, caught = f"{again.mistake} in {again.variant}", self._caught(again.mistake)
                yield Case(Role.AGAIN, name, again.text.encode(), self.mistakes_file, again.line, caught, again.mistake)
            for mistake in self.mistakes.mistakes:
                facts = self.mistakes_file, mistake.line, mistake.caught_by, "", mistake.ablation
                yield Case(Role.MISTAKE, mistake.id, mistake.text.encode(), *facts)
        if self.stub is not None:
            for name, text in zoo.animals(self.stub).items():
                yield Case(Role.ZOO, name, text.encode(), self.stub_file)


def python_finding(rule: str, path: Path, file: str) -> Finding | None:
    """Why the file at `path` is not Python source, if it is not."""
    text = read_text(rule, path, file)
    found = text if isinstance(text, Finding) else suite.parsed(rule, text, file)
    return found if isinstance(found, Finding) else None


def _python(path: Path) -> str | None:
    return None if python_finding("", path, "") else path.read_text(encoding="utf-8")
