"""What `course.toml` says of a whole course: its name, languages and tracks, and how its katas are graded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.errors import CourseFault, Fault, did_you_mean
from grader.formats import SCHEMAS, Format, read
from grader.messages import text

FILE = "course.toml"
FORMAT = Format(SCHEMAS / "course.schema.json", 2, {1: lambda fields: fields})  # version 2 has more that may be said
ENGLISH: tuple[str, ...] = ("en",)  # the languages of a course that says nothing of them
POINTS: Mapping[str, float] = {"shape": 1, "value": 4, "gradient": 3, "convergence": 1, "behaviour": 1}


@dataclass(frozen=True)
class Settings:
    """The settings of a course; each has a value that holds where `course.toml`, or the file itself, is silent."""

    name: str = ""
    languages: tuple[str, ...] = ENGLISH  # English first
    tracks: tuple[str, ...] = ()  # in their order; without any, a kata's track may be anything
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)  # of tracks, by language
    points: Mapping[str, float] = field(default_factory=lambda: POINTS, hash=False)  # what `grade stub` gives a kind
    fail_under: float | None = None  # percent of the points below which a learner's fork is red
    reports: tuple[str, ...] = ()  # FORMAT=PATH, which every run writes; paths are from the root of the course
    diagnosis: bool = True  # whether a scorecard names the mistake
    slower: float = 1.0  # how many times longer than its manifest says a test may take


def load(
    root: Path,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> Settings:
    """The settings of the course at `root`; raises CourseFault. For the two arguments see `grader.formats.read`."""
    path = root / FILE
    if not path.is_file():
        return Settings()
    fields = read(root, path, FORMAT, known_good=known_good, on_good=on_good)
    said: dict[str, Any] = {
        name: fields[name] for name in ("name", "names", "points", "fail_under", "diagnosis") if name in fields
    }
    said |= {name: tuple(fields[name]) for name in ("languages", "tracks", "reports") if name in fields}
    if "points" in said:
        said["points"] = {**POINTS, **said["points"]}
    found = Settings(**said, slower=float(fields.get("limits", {}).get("slower", 1.0)))
    if faults := [*_misnamed(found)]:
        raise CourseFault(faults)
    return found


def _misnamed(settings: Settings) -> Iterator[Fault]:
    """Names in a language that some tracks have and others lack, and names of what is no track."""
    for language, names in settings.names.items():
        for track in settings.tracks:
            if track not in names:
                yield Fault(FILE, f"names.{language}.{track}", text("is missing"))
        for name in names:
            if name not in settings.tracks:
                wanted = text("must be one of {values}", values=[*settings.tracks])
                yield Fault(FILE, f"names.{language}", wanted, name, did_you_mean(name, settings.tracks))
