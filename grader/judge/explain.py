"""What helps with an exception that comes of where the learner's code runs, and not of what it computes."""

from __future__ import annotations

import platform
import re
import sys

from grader.judge.gone import LearnerError
from grader.messages import Message, text

_PYTHON = ".".join(platform.python_version_tuple()[:2])
_LOCKED = text("your code runs locked away: it may write no files, start no processes and open no connections")
_ALONE = text(
    "your file alone is handed to the process that runs it: what lies beside it is not there, so keep all that it needs inside it"
)
_PACKAGES = text(
    "a kata needs the standard library and what its stub imports: leave all else out; files beside yours are not there either"
)
_THREADS = text("your code may start a few dozen threads, and no more")
_NEWER = text(
    "your file is run by Python {version}: write this as that version does, or run `grade` with a newer Python",
    version=_PYTHON,
)
_PDB = "nobody is at the keyboard where your code is judged: breakpoint() works in `grade debug {kata}`"
_IN_PLACE = text(
    "this changes a tensor in place (`+=`, `x[...] = ...`, a method that ends in `_`) whose old value autograd needs: make a new tensor"
)
_INPUT = "nobody is at the keyboard where your code is judged: leave out input(), and give the value as an argument"

# How the words of other exceptions than Python's own tell that the jail refused something.
_REFUSED = re.compile(
    r"Permission denied|Operation not permitted|Read-only file system|Function not implemented|unable to open database"
    r"|name resolution|Name or service not known|No usable temporary directory|/dev/shm|Parent directory .* does not exist",
    re.IGNORECASE,
)
# What torch says of a tensor that was changed where its history had to stay.
_CHANGED = re.compile(r"in-?place operation", re.IGNORECASE)
# Of a name that a module of the standard library lacks.
_LACKS = re.compile(r"cannot import name '\w+' from '([\w.]+)'|^module '([\w.]+)' has no attribute '\w+'$")
# Statements and expressions that Python got after the oldest version that is supported, by their first lines.
_SYNTAX = re.compile(
    r"^\s*type\s+\w+(\[.*\])?\s*=|^\s*(async\s+)?def\s+\w+\s*\[|^\s*class\s+\w+\s*\[|^\s*except\s+\w[\w.]*\s*,|\bt[rR]?['\"]"
    r"|\bf(['\"]).*\{[^}]*\3.*\}.*\3"
)


def help_with(error: LearnerError, kata: str, source_line: str = "") -> Message | None:
    """What to do about an exception in the process that judges; None where the code is at fault, and nothing else.

    source_line: the learner's line that a SyntaxError names.
    """
    kinds = {base.__name__ for base in type(error).__mro__} | set(error.causes)
    if error.type_name == "bdb.BdbQuit":
        return text(_PDB, kata=kata)
    if "RuntimeError" in kinds and _CHANGED.search(error.text):
        return _IN_PLACE
    if "EOFError" in kinds:
        return text(_INPUT)
    if "PermissionError" in kinds or _REFUSED.search(error.text):
        return _LOCKED
    if "can't start new thread" in error.text:
        return _THREADS
    if "ModuleNotFoundError" in kinds:
        return _PACKAGES
    if "relative import" in error.text and "ImportError" in kinds:
        return _ALONE
    if "FileNotFoundError" in kinds:
        return _ALONE
    lacking = _LACKS.search(error.text)
    if lacking and (lacking[1] or lacking[2]).partition(".")[0] in sys.stdlib_module_names:
        return _NEWER
    return _NEWER if "SyntaxError" in kinds and _SYNTAX.search(source_line) else None
