"""What a learner does between two runs, for whoever shows it: the verbs of the command and the screens of `grade watch`.

`desk.py` has what they may do and the rules for it, `listing.py` the course as a list, `paths.py` named ways through it,
`choosing.py` the tests that `-k` means, `misnamed.py` answers under another name, `pages.py` a statement as a terminal
shows it, `notebooks.py` a statement and a stub as a notebook, `after.py` what comes after a run, and `speaker.py` the
words of a course in the learner's language. Nothing here prints.
"""
