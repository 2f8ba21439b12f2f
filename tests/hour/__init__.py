"""A learner's first hour, played in a real terminal and written down: `make hour` makes the page and its pictures.

`terminal.py` is the terminal, `desk.py` the clone that the learner works in and the files as they are filled in,
`story.py` what is done and said in both languages, `neutral.py` what is taken out of a capture, `pictures.py` what is
drawn of it, and `__main__.py` puts the pages down.
"""
