"""What a gradebook is written as. Each file here turns sheets into texts; `folder.py` alone puts them on the disk.

tables.py      gradebook.csv, totals.csv and canvas.csv, whose cells no spreadsheet runs
gradescope.py  results.json of an autograder, one for each student
data.py        gradebook.json, as `grader/schemas/gradebook.schema.json` describes it
pages.py       an HTML page for each student, with nobody else's data, and one for the teacher
statistics.py  what the teacher's page tells of a class: rates, hardest tests, the bugs of this class
folder.py      all files of an export in their places, or none
"""

FORMATS = ("csv", "canvas", "gradescope", "json", "html")
