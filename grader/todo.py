"""What is still to do: a `NotImplementedError` that a stub raises, and not one that a library does."""

from __future__ import annotations

import dis
from types import TracebackType

_RAISE = dis.opmap["RAISE_VARARGS"]


def is_the_stubs(traceback: TracebackType | None, filename: str) -> bool:
    """Whether a `raise` in the learner's own file began it.

    torch says `NotImplementedError` of a kernel that it lacks and of a module without `forward`: there nothing is to do.
    """
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return True
    code = traceback.tb_frame.f_code
    return code.co_filename == filename and code.co_code[traceback.tb_lasti] == _RAISE
