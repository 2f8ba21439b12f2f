"""Help that is asked for, step by step: what was kept back of a known mistake first, and then the hints of the kata."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from grader import diagnosis
from grader.kata import Kata
from grader.scorecard import Cause, KataResult, Scorecard
from grader.store import Store

_GIVEN, _WITHHELD = "hints", "diagnosis"  # names of notes in the store


class _Withheld(msgspec.Struct, frozen=True):
    """A known mistake in one file that its learner was not told of."""

    sha256: str
    en: str
    zh: str


@dataclass(frozen=True)
class Nudge:
    """One piece of help. number: of a hint, from 1; 0 where it says which mistake was made."""

    number: int
    en: str
    zh: str

    def words(self, language: str) -> str:
        """In a language, or in English where it has none."""
        return self.zh if language == "zh" and self.zh else self.en


def kept_back(card: Scorecard, store: Store, *, own: bool) -> Scorecard:
    """The scorecard without a word of known mistakes; of the learner's own it is noted, and `grade hint` gives it."""
    katas = []
    for kata in card.katas:
        result, causes = diagnosis.withheld(kata)
        if causes and own:
            withhold(store, kata, causes[0])
        katas.append(result)
    return replace(card, katas=tuple(katas))


def withhold(store: Store, result: KataResult, cause: Cause) -> None:
    """Keep what a run did not tell, for whoever asks for a hint while the file is still this one."""
    kept = _Withheld(result.sha256, cause.diagnosis, cause.diagnosis_zh)
    store.put_note(result.id, _WITHHELD, msgspec.json.encode(kept).decode())


def given(store: Store, kata: Kata) -> list[Nudge]:
    """The hints that were given so far, in their order."""
    noted = store.note(kata.id, _GIVEN)
    count = min(int(noted) if noted.isdigit() else 0, len(kata.hints))
    return [Nudge(number, hint.en, hint.zh) for number, hint in enumerate(kata.hints[:count], 1)]


def next_nudge(store: Store, kata: Kata, sha256: str) -> Nudge | None:
    """One more piece of help for the file with this digest, which is noted as given; None where all was given."""
    known = _known(store, kata)
    if known is not None and known.sha256 == sha256:
        store.put_note(kata.id, _WITHHELD, "")
        return Nudge(0, known.en, known.zh)
    number = len(given(store, kata)) + 1
    if number > len(kata.hints):
        return None
    store.put_note(kata.id, _GIVEN, str(number))
    hint = kata.hints[number - 1]
    return Nudge(number, hint.en, hint.zh)


def _known(store: Store, kata: Kata) -> _Withheld | None:
    try:
        return msgspec.json.decode(store.note(kata.id, _WITHHELD), type=_Withheld)
    except msgspec.MsgspecError:
        return None
