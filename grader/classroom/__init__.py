"""A class: many learners' files in, a journal of what was found and judged, and what a teacher makes of it.

In: `sources.py` and `archives.py` give the files of a folder or an archive, without trust; `labels.py` and `roster.py` say
whose they are, `matching.py` for which kata, and `intake.py` brings that together.

Judging: `snapshot.py` keeps the course as it was, `plan.py` says what there is to do, `hands.py` judges it here and
`cluster.py` on other machines, `run.py` goes through it under the `lock.py` of its output, and `shards.py` brings together
what several machines judged, each its part.

Between them and whatever shows a class stands the journal: `journal.py`, one SQLite file, with the values of `records.py`.
It is all that passes from one to the other.

Out: `gradebook.py` reads it under the policy of `late.py` and the decisions of `overrides.py`, and `exports/` writes what
that comes to. `mistakes.py` lets it name bugs, `similarity.py` says what is alike, `again.py` judges again what is doubted
or was mended, and `person.py` exports, hides and deletes what is one student's.
"""
