"""A course: the folder that has `katas/`, found from wherever the command was started."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from grader import kata as manifests
from grader.errors import Fault, UsageFault, did_you_mean
from grader.kata import Kata
from grader.messages import Message, message, text
from grader.settings import Settings
from grader.settings import load as load_settings

_SHORT_LIST = 12


@dataclass(frozen=True)
class Course:
    """The katas of one folder, by number, and what holds for all of them."""

    root: Path
    katas: tuple[Kata, ...]
    settings: Settings = field(default_factory=Settings)
    left_out: frozenset[str] = frozenset()  # manifests at fault, whose katas are not among these

    @property
    def languages(self) -> tuple[str, ...]:
        """Those in which it is written, English first."""
        return self.settings.languages

    @property
    def fail_under(self) -> float | None:
        """Percent of the points below which a learner's fork is red."""
        return self.settings.fail_under

    @property
    def name(self) -> str:
        """What it is called: without a name of its own, as its folder."""
        return self.settings.name or self.root.name

    def reference(self, kata: Kata) -> Path:
        """The author's solution of a kata; a release has none."""
        return self.root / "reference" / kata.id / f"{kata.slug}.py"

    def select(self, names: Iterable[str] = (), also: Iterable[str] = ()) -> tuple[Kata, ...]:
        """The katas meant by `04_lstm`, `lstm`, `4`, `04`, an alias or a path, in course order; all when none is named.

        Raises UsageFault for all names together that mean no kata; `also` are other words that may have been meant.
        """
        found = {name: self._named.get(_key(name)) for name in names}
        if unknown := [name for name, kata in found.items() if kata is None]:
            raise UsageFault(message("lines", lines=[self._unknown(name, also) for name in unknown]), self._listing())
        return tuple(kata for kata in self.katas if not found or kata in found.values())

    @cached_property
    def _named(self) -> dict[str, Kata]:
        return {name: kata for kata in self.katas for name in (*kata.aliases, kata.slug, kata.id, str(kata.number))}

    def _unknown(self, name: str, also: Iterable[str]) -> Message:
        words = [*(word for word in self._named if not word.isdigit()), *also]
        meant = did_you_mean(_key(name), words)
        unknown = text("there is no kata {name!r}", name=name)
        return text("{problem}: {help}", problem=unknown, help=meant) if meant else unknown

    def _listing(self) -> Message:
        if len(self.katas) > _SHORT_LIST:
            return text("{count} katas stand in {folder}", count=len(self.katas), folder=str(self.root / "katas"))
        return text("the katas are {katas}", katas=[kata.id for kata in self.katas])


def locate(start: Path, explicit: Path | None = None) -> Path:
    """The root of the course around `start`, or `explicit` itself; raises UsageFault where there is none."""
    if explicit is not None:
        if not _is_course(explicit):
            raise UsageFault(
                text("{folder} is not a course: it has no katas/*/kata.toml", folder=str(explicit)),
                text("name the folder that holds katas/"),
            )
        return explicit.resolve()
    start = start.resolve()
    for folder in (start, *start.parents):
        if _is_course(folder):
            return folder
    raise UsageFault(
        text("not in a course: neither {folder} nor a folder above it has katas/*/kata.toml", folder=str(start)),
        text("change to the folder of your course, or name it with --course DIR; `grade init` begins one"),
    )


def find(
    start: Path,
    explicit: Path | None = None,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
    on_fault: Callable[[Fault], None] | None = None,
) -> Course:
    """The course around `start`, its manifests checked (see `formats.read` for `known_good` and `on_good`).

    Raises CourseFault for any fault of it. With `on_fault`, a kata with faults is left out instead, and each is told.
    """
    root = locate(start, explicit)
    settings = load_settings(root, known_good=known_good, on_good=on_good)
    if on_fault is None:
        katas = manifests.load(root, known_good=known_good, on_good=on_good)
        faults: tuple[Fault, ...] = ()
    else:
        katas, faults = manifests.sound(root, known_good=known_good, on_good=on_good)
        for fault in faults:
            on_fault(fault)
    return Course(root, katas, settings, frozenset(fault.file for fault in faults))


def _is_course(folder: Path) -> bool:
    return next(folder.glob("katas/*/kata.toml"), None) is not None


def _key(name: str) -> str:
    """`4` for `04`, and `04_lstm` for `katas/04_lstm/`, as a shell completes it."""
    word = PurePath(name).name.lower().removesuffix(".py")
    return word.lstrip("0") if word.isdigit() else word
