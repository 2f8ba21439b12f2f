"""A kata as its manifest describes it: read from TOML, held to a schema and to the rules that no schema can say."""

import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import Any

from grader.errors import CourseFault, Fault, did_you_mean
from grader.messages import text
from grader.schema import faults as schema_faults

FORMAT_VERSION = 1
SCHEMAS = Path(__file__).parent / "schemas"
SCHEMA = SCHEMAS / "kata.schema.json"
SETTINGS = "course.toml"
ENGLISH: tuple[str, ...] = ("en",)  # the languages of a course that says nothing of them


@dataclass(frozen=True)
class Settings:
    """What `course.toml` says about all katas of a course."""

    languages: tuple[str, ...] = ENGLISH  # English first
    fail_under: float | None = None  # percent of the points below which a learner's fork is red


@dataclass(frozen=True)
class Hint:
    """One of three nudges, in the languages of the course."""

    en: str
    zh: str = ""


@dataclass(frozen=True)
class Data:
    """A data set that the suite uses, where it is from and on what terms."""

    name: str
    source: str
    licence: str


@dataclass(frozen=True)
class Kata:
    """One exercise. The stub need not exist: a missing one is the learner's verdict, not a fault of the course."""

    id: str
    number: int
    title: str
    title_zh: str
    blurb: str
    blurb_zh: str
    track: str
    difficulty: int
    minutes: int
    requires: tuple[str, ...]
    entry_points: tuple[str, ...]
    worker: str
    tests: int
    forbidden_operators: tuple[str, ...]
    forbidden_imports: tuple[str, ...]
    forbidden_jobs: tuple[str, ...]
    points: Mapping[str, float] = field(hash=False)
    seconds: float
    memory_mb: int
    hints: tuple[Hint, ...]
    data: tuple[Data, ...]
    aliases: tuple[str, ...]
    folder: Path
    hidden: Path | None

    @property
    def slug(self) -> str:
        """The id without its number: `lstm`."""
        return self.id.partition("_")[2]

    def title_in(self, language: str) -> str:
        """The title in a language, or in English where the manifest has none in it."""
        return self.title_zh if language == "zh" and self.title_zh else self.title

    def statement(self, language: str = "en") -> Path:
        """The page of its statement in a language, which need not be there."""
        return self.folder / ("README.md" if language == "en" else f"README.{language}.md")

    @property
    def stub(self) -> Path:
        return self.folder / f"{self.slug}.py"

    @property
    def suite(self) -> Path:
        return self.folder / f"test_{self.slug}.py"

    @property
    def manifest(self) -> str:
        """The manifest's name in messages: `katas/04_lstm/kata.toml`."""
        return f"katas/{self.folder.name}/kata.toml"


def load(
    root: Path,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> tuple[Kata, ...]:
    """All katas under `root/katas`, by number; every fault of every manifest is gathered into one CourseFault.

    Holding a manifest to the schema means importing jsonschema, which costs more than all the rest. So it is done once
    for each content: `on_good` is told the digest of what was found good (of schema and manifest together), and
    `known_good` is asked for it the next time.
    """
    katas, faults = survey(root, known_good=known_good, on_good=on_good)
    if faults:
        raise CourseFault(faults)
    return katas


def survey(
    root: Path,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> tuple[tuple[Kata, ...], tuple[Fault, ...]]:
    """The katas under `root/katas` that can be read, by number, and every fault of every manifest."""
    katas: list[Kata] = []
    faults: list[Fault] = []
    spoken = ENGLISH
    try:
        spoken = settings(root, known_good=known_good, on_good=on_good).languages
    except CourseFault as fault:
        faults += fault.faults
    manifests = sorted(root.glob("katas/*/kata.toml"))
    for path in manifests:
        try:
            katas.append(_kata(root, path.parent, _read(root, path, SCHEMA, known_good, on_good)))
        except CourseFault as fault:
            faults += fault.faults
    faults += _rules(katas, {path.parent.name for path in manifests})
    faults += [fault for kata in katas for language in spoken[1:] for fault in _untold(kata, language)]
    return tuple(sorted(katas, key=lambda kata: kata.number)), tuple(faults)


def settings(
    root: Path,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> Settings:
    """What the `course.toml` of the course at `root` says; a course without one is in English alone."""
    path = root / SETTINGS
    if not path.is_file():
        return Settings()
    fields = _read(root, path, SCHEMAS / "course.schema.json", known_good, on_good)
    return Settings(tuple(fields["languages"]), fields.get("fail_under"))


def _read(
    root: Path, path: Path, schema: Path, known_good: Callable[[str], bool], on_good: Callable[[str], None]
) -> dict[str, Any]:
    """The fields of one file, once they are known to follow the schema."""
    file = path.relative_to(root).as_posix()
    try:
        content = path.read_bytes()
        fields = tomllib.loads(content.decode("utf-8-sig"), parse_float=_finite)
    except OSError as error:
        raise CourseFault([Fault(file, wanted=text("cannot be read: {reason}", reason=error.strerror))]) from None
    except (ValueError, RecursionError) as error:
        end = f"at the end, line {len(content.splitlines())}"
        reason = str(error).replace("at end of document", end)
        raise CourseFault([Fault(file, wanted=text("is not valid TOML: {reason}", reason=reason))]) from None

    version = fields.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        wanted = text("must be {value}", value=FORMAT_VERSION)
        help = text("made for a newer grader: upgrade gradkata")
        raise CourseFault([Fault(file, "format_version", wanted, str(version), help)])

    rules = schema.read_bytes()
    digest = sha256(rules + content).hexdigest()
    if not known_good(digest):
        if faults := schema_faults(file, json.loads(rules), fields):
            raise CourseFault(faults)
        on_good(digest)
    return fields


def _finite(number: str) -> float | str:
    """TOML has inf and nan, which slip through comparisons; as text they are of the wrong type."""
    return value if math.isfinite(value := float(number)) else number


def _kata(root: Path, folder: Path, fields: dict[str, Any]) -> Kata:
    taken: dict[str, Any] = {
        **{name: fields[name] for name in ("id", "title", "blurb", "track", "worker")},
        **{name: fields.get(name, "") for name in ("title_zh", "blurb_zh")},
        **{name: int(fields[name]) for name in ("number", "difficulty", "minutes", "tests")},
        **{name: tuple(fields.get(name, ())) for name in ("requires", "entry_points", "aliases")},
    }
    forbidden = fields.get("forbidden", {})
    hidden = root / "reference" / folder.name / "test_hidden.py"
    return Kata(
        **taken,
        forbidden_operators=tuple(forbidden.get("operators", ())),
        forbidden_imports=tuple(forbidden.get("imports", ())),
        forbidden_jobs=tuple(forbidden.get("jobs", ())),
        points={kind: float(points) for kind, points in fields["points"].items()},
        seconds=float(fields["limits"]["seconds"]),
        memory_mb=int(fields["limits"]["memory_mb"]),
        hints=tuple(Hint(**hint) for hint in fields["hints"]),
        data=tuple(Data(**data) for data in fields.get("data", ())),
        folder=folder,
        hidden=hidden if hidden.is_file() else None,
    )


def _rules(katas: list[Kata], ids: set[str]) -> Iterator[Fault]:
    """What no schema can say. `ids` are all katas there are, also those whose manifest is faulty."""
    owners: dict[str, str] = {}
    for kata in katas:
        if kata.id != kata.folder.name:
            yield Fault(kata.manifest, "id", text("must be the folder's name"), kata.id)
        if kata.number != int(kata.id.partition("_")[0]):
            yield Fault(
                kata.manifest,
                "number",
                text("must be the number that {kata} begins with", kata=kata.id),
                str(kata.number),
            )
        if not kata.suite.is_file():
            yield Fault(
                kata.manifest, "id", text("must have its suite beside it; {file} is missing", file=kata.suite.name)
            )
        if not any(kata.points.values()):
            yield Fault(kata.manifest, "points", text("must not all be 0"))
        for required in kata.requires:
            if required not in ids:
                help = did_you_mean(required, ids)
                yield Fault(kata.manifest, "requires", text("must name katas of this course"), required, help)
        for name in dict.fromkeys((str(kata.number), kata.id, kata.slug, *kata.aliases)):
            if (owner := owners.setdefault(name, kata.manifest)) != kata.manifest:
                key = "number" if name.isdigit() else "aliases" if name in kata.aliases else "id"
                yield Fault(kata.manifest, key, text("must be unique"), name, text("{owner} has it too", owner=owner))
    yield from _cycles({kata.id: kata for kata in katas})


def _untold(kata: Kata, language: str) -> Iterator[Fault]:
    """What the manifest lacks in a language of the course."""
    missing = [name for name in (f"title_{language}", f"blurb_{language}") if not getattr(kata, name)]
    missing += [f"hints[{place}].{language}" for place, hint in enumerate(kata.hints) if not getattr(hint, language)]
    yield from (Fault(kata.manifest, name, text("is missing")) for name in missing)


def _cycles(katas: dict[str, Kata]) -> Iterator[Fault]:
    """A fault for each circle of requirements, which is then cut open to look for the next."""
    requires = {name: list(kata.requires) for name, kata in katas.items()}
    while True:
        try:
            TopologicalSorter(requires).prepare()
            return
        except CycleError as error:
            needed, needing = error.args[1][:2]
            circle = " -> ".join(reversed(error.args[1]))
            yield Fault(katas[needing].manifest, "requires", text("must not go in a circle"), circle)
            requires[needing].remove(needed)
