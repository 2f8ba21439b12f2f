"""`results.json` of a Gradescope autograder for one student, with the points that count."""

from __future__ import annotations

from msgspec.structs import replace

from grader.classroom.exports import told
from grader.classroom.gradebook import Sheet
from grader.messages.language import Language
from grader.reports import gradescope
from grader.scorecard import Score, Scorecard


def results(sheet: Sheet, card: Scorecard, language: Language) -> str:
    """The text, for a sheet that is complete. Tests have their raw points; what changes them is said, and in the score.

    What is excused is left out, with its points.
    """
    counted = {cell.kata.id for cell in sheet.cells if not cell.excused}
    notes = [f"{cell.kata.id}: {line}" for cell in sheet.cells for line in told.lines(cell, language)]
    card = replace(
        card,
        score=Score(sheet.points, sheet.max),
        katas=tuple(kata for kata in card.katas if kata.id in counted),
        complete=True,
        unfinished=(),
    )
    return gradescope.render(card, language=language, note="\n".join(notes))
