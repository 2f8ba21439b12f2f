"""A class: many learners' files in, a journal of what was found and judged, and what a teacher makes of it.

    records.py  what a journal holds: students, their entries, remarks, the facts of a run
    journal.py  the SQLite file in which all of it stands, written as it comes and read by whoever makes a gradebook

The journal is the only thing that passes from what judges a class to what shows it.
"""
