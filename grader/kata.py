"""A kata as its manifest describes it: read from TOML, held to a schema and to the rules that no schema can say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from grader import formats
from grader.errors import CourseFault, Fault, did_you_mean
from grader.formats import SCHEMAS, Format
from grader.messages import text
from grader.settings import FILE as SETTINGS
from grader.settings import Settings
from grader.settings import load as load_settings

__all__ = ["SCHEMA", "SETTINGS", "Data", "Hint", "Kata", "load", "survey"]

SCHEMA = SCHEMAS / "kata.schema.json"
FORMAT = Format(SCHEMA, 1)
_FILLED_IN = ("tests", "points")  # by `grade stub`, from the suite


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
    track_zh: str  # as the course calls it in Chinese
    difficulty: int
    minutes: int
    requires: tuple[str, ...]
    recommends: tuple[str, ...]
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

    def blurb_in(self, language: str) -> str:
        """The line that says what it is about, likewise."""
        return self.blurb_zh if language == "zh" and self.blurb_zh else self.blurb

    def track_in(self, language: str) -> str:
        """What the course calls its track, likewise."""
        return self.track_zh if language == "zh" and self.track_zh else self.track

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

    For `known_good` and `on_good` see `grader.formats.read`.
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
    settings = Settings()
    try:
        settings = load_settings(root, known_good=known_good, on_good=on_good)
    except CourseFault as fault:
        faults += fault.faults
    manifests = sorted(root.glob("katas/*/kata.toml"))
    for path in manifests:
        try:
            fields = formats.read(root, path, FORMAT, known_good=known_good, on_good=on_good)
            katas.append(_kata(root, path.parent, fields, settings))
        except CourseFault as fault:
            faults += map(_with_help, fault.faults)
    faults += _rules(katas, {path.parent.name for path in manifests}, settings.tracks)
    faults += [fault for kata in katas for language in settings.languages[1:] for fault in _untold(kata, language)]
    return tuple(sorted(katas, key=lambda kata: kata.number)), tuple(faults)


def sound(
    root: Path,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> tuple[tuple[Kata, ...], tuple[Fault, ...]]:
    """The katas that nothing is wrong with, by number, and every fault of the others.

    A copy of a folder is at fault, and not the kata that it was copied from. Raises CourseFault for what is no kata's own,
    and where no kata is left.
    """
    settings = load_settings(root, known_good=known_good, on_good=on_good)
    katas, faults = survey(root, known_good=known_good, on_good=on_good)
    ids = {path.parent.name for path in root.glob("katas/*/kata.toml")}
    good = [kata for kata in katas if kata.id == kata.folder.name]
    while wrong := {fault.file for fault in _rules(good, ids, settings.tracks)}:
        good = [kata for kata in good if kata.manifest not in wrong]
    names = {kata.manifest for kata in good}
    if faults and not good:
        raise CourseFault(faults)
    return tuple(good), tuple(fault for fault in faults if fault.file not in names)


def _kata(root: Path, folder: Path, fields: dict[str, Any], settings: Settings) -> Kata:
    taken: dict[str, Any] = {
        **{name: fields[name] for name in ("id", "title", "blurb", "track", "worker")},
        **{name: fields.get(name, "") for name in ("title_zh", "blurb_zh")},
        **{name: int(fields[name]) for name in ("number", "difficulty", "minutes", "tests")},
        **{name: tuple(fields.get(name, ())) for name in ("requires", "recommends", "entry_points", "aliases")},
    }
    forbidden = fields.get("forbidden", {})
    hidden = root / "reference" / folder.name / "test_hidden.py"
    return Kata(
        **taken,
        track_zh=settings.names.get("zh", {}).get(fields["track"], ""),
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


def _with_help(fault: Fault) -> Fault:
    """The fault, and what fills it in, where something does."""
    if fault.key in _FILLED_IN and fault.wanted == text("is missing"):
        return replace(fault, help=text("`grade stub` fills it in"))
    return fault


def _rules(katas: list[Kata], ids: set[str], tracks: Sequence[str]) -> Iterator[Fault]:
    """What no schema can say. `ids` are all katas there are, also those whose manifest is faulty; `tracks` the course's."""
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
        if tracks and kata.track not in tracks:
            wanted = text("must be one of {values}", values=[*tracks])
            yield Fault(kata.manifest, "track", wanted, kata.track, did_you_mean(kata.track, tracks))
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
