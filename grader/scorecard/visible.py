"""Text that somebody else wrote, with whatever a screen would obey shown instead of obeyed."""

from __future__ import annotations

LINE = 400  # longest text kept, in characters, where a caller names no limit


def visible(text: str, limit: int = LINE, *, lines: bool = False) -> str:
    r"""The text with whatever a screen would obey rather than show written out, and cut with a notice at `limit`.

    Control characters, escape sequences, direction marks, lone surrogates and unassigned code points become
    `\x1b`, `\u202e` and the like. With `lines`, line feeds and tabs stay. Made visible twice is made visible once.
    """
    kept = "\u00a0\u3000\n\t" if lines else "\u00a0\u3000"
    head = text[: limit + 1].replace("\r\n", "\n") if lines else text[: limit + 1]
    shown = head if head.isprintable() else "".join(c if c.isprintable() or c in kept else _escape(c) for c in head)
    if len(text) <= limit and len(shown) <= limit:
        return shown
    notice = " [cut]"
    return shown[: limit - len(notice)] + notice


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
