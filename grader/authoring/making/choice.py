"""Some katas of a course as a course of their own: what they require outside the choice becomes a recommendation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from grader.course import Course
from grader.errors import UsageFault, did_you_mean
from grader.kata import Kata
from grader.messages import text


@dataclass(frozen=True)
class Choice:
    """A course of the chosen katas, and those outside that they recommend, by id."""

    course: Course
    recommended: Mapping[str, Kata]


def choose(course: Course, names: Sequence[str] = (), tracks: Sequence[str] = ()) -> Choice:
    """The katas of these names and those of these tracks; all of them where neither is given. Raises UsageFault.

    A kata that requires one outside the choice recommends it instead, and requires what that one required in the choice.
    """
    known = dict.fromkeys([*course.settings.tracks, *(kata.track for kata in course.katas)])
    for track in tracks:
        if not any(kata.track == track for kata in course.katas):
            raise UsageFault(
                text("no kata is of the track {track!r}", track=track),
                did_you_mean(track, known) or text("the tracks are {tracks}", tracks=[*known]),
            )
    named = course.select(names) if names or not tracks else ()
    katas = [kata for kata in course.katas if kata in named or kata.track in tracks]
    everyone, chosen = {kata.id: kata for kata in course.katas}, {kata.id for kata in katas}
    ready = tuple(_within(kata, everyone, chosen) for kata in katas)
    outside = dict.fromkeys(id for kata in ready for id in kata.recommends if id not in chosen)
    recommended = {id: everyone[id] for id in outside if id in everyone}
    return Choice(Course(course.root, ready, course.settings), recommended)


def _within(kata: Kata, everyone: Mapping[str, Kata], chosen: set[str]) -> Kata:
    before = list(_before(kata, everyone, chosen))
    return replace(
        kata,
        requires=tuple(dict.fromkeys(id for id in before if id in chosen)),
        recommends=tuple(dict.fromkeys([*kata.recommends, *(id for id in before if id not in chosen)])),
    )


def _before(kata: Kata, everyone: Mapping[str, Kata], chosen: set[str]) -> Iterator[str]:
    """What it requires, and in the place of each that is not chosen also what that one requires."""
    for id in kata.requires:
        yield id
        if id not in chosen:
            yield from _before(everyone[id], everyone, chosen)
