"""`grade watch`: a screen that judges the kata at hand whenever its file is saved.

Three threads, each with one task: the screen's own (`app.py`, `screens.py`, and `view.py`, which turns what is known into
lines), one that looks which files changed (`changes.py`), and one that owns the session and its warm ladder (`runs.py`).
The other two tell the screen what they find, and it alone decides what is done about it.
"""
