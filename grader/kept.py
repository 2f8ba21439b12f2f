"""What is known of a learner's own files without judging any: their results in the store, as one scorecard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from grader import __version__, diagnosis, submission
from grader.course import Course
from grader.engine import key
from grader.kata import Kata
from grader.messages import text
from grader.scorecard import KataResult, Scorecard, Verdict, reject_kata, total, worded
from grader.standing import Place, standing
from grader.store import Attempt, Store
from grader.submission import Submission


@dataclass(frozen=True)
class Kept:
    """The scorecard, the attempts by kata, and the katas whose file is another one than the result is of."""

    card: Scorecard
    attempts: dict[str, tuple[Attempt, ...]]
    changed: frozenset[str]


def kept(course: Course, store: Store) -> Kept:
    """What the store has of the learner whose course this is; what was judged with `--from` is somebody else's."""
    places = standing(course, store).places
    files = {place.kata.id: submission.read(place.kata, None, course) for place in places}
    results = tuple(_result(course, place, files[place.kata.id], store) for place in places)
    changed = {result.id for result in results if result.sha256 and result.sha256 != files[result.id].sha256}
    attempts = {place.kata.id: place.attempts for place in places}
    newest = max((each.time for tried in attempts.values() for each in tried), default=0.0)
    card = Scorecard(
        course=course.name,
        grader=f"{__version__}+{key.grader_digest()[:12]}",
        versions=key.versions(),
        seed=0,
        sandbox=str(text("nothing was run: every result is from the store")),
        jobs=1,
        started=datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        score=total(course.katas, results),
        complete=True,
        katas=results,
    )
    return Kept(card, attempts, frozenset(changed))


def _result(course: Course, place: Place, file: Submission, store: Store) -> KataResult:
    """The result of the file as it is; else of the last attempt, with or without what it found."""
    kata = place.kata
    where = {"stub": file.display_path, "readme": f"katas/{kata.id}/README.md"}
    if not place.attempts:
        return replace(
            reject_kata(kata, Verdict.TODO, (), **where), message="", said=()
        )  # nothing ran, and nobody asked
    now = next((each for each in reversed(place.attempts) if each.sha256 == file.sha256), place.attempts[-1])
    found = (each for name in (kata.id, *kata.aliases) for each in store.kept(name) if each.sha256 == now.sha256)
    result = next(found, None)
    if result is None or not now.sha256:
        return _bare(kata, now, where)
    result = replace(result, id=kata.id, **where)
    return diagnosis.diagnosed(result, diagnosis.load(course, kata)) if result.verdict is not Verdict.PASS else result


def _bare(kata: Kata, attempt: Attempt, where: dict[str, str]) -> KataResult:
    """An attempt of which nothing but its end was kept."""
    said = (text("what this attempt found was not kept: `grade run {kata}` judges the file again", kata=kata.id),)
    result = reject_kata(kata, Verdict.TODO, said, sha256=attempt.sha256, **where)
    return replace(result, verdict=attempt.verdict, points=min(attempt.points, result.max), message=worded(said))
