"""A kata as a notebook, for those who live there: its statement, and the learner's file in a cell that judges itself."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.messages.language import Language, of_environment
from grader.study.desk import statement

SUFFIX = ".ipynb"
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(\w*)\s*$")
_LINK = re.compile(r"(\]\()(?![a-z][a-z0-9+.-]*:|[#/])([^)\s#]+)")
_INLINE = re.compile(r"\$`([^`]+)`\$")  # how GitHub may have a formula in a line


def path_for(kata: Kata, folder: Path, output: Path | None) -> Path:
    """Where the notebook goes: a file of this name, or one named for the kata in this or the present folder.

    Raises UsageFault for a name that no notebook has.
    """
    path = folder if output is None else folder / output
    if path.is_dir():
        path /= f"{kata.slug}{SUFFIX}"
    if path.suffix != SUFFIX:
        raise UsageFault(
            text("{file} is no name of a notebook", file=str(path)), text("let it end in {suffix}", suffix=SUFFIX)
        )
    return path


def write(course: Course, kata: Kata, path: Path, language: Language) -> None:
    """Make the notebook. Raises UsageFault where there is something already, or the disk is in the way."""
    folder = path.absolute().parent
    document = made(kata, folder, language, file_of(kata), options(course, folder, language))
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:  # nor through a link
            try:
                stream.write(document)
                stream.flush()
            except BaseException:
                path.unlink()
                raise
    except FileExistsError:
        raise UsageFault(
            text("{file} is there already, and may hold your work", file=str(path)),
            text("name another file with `-o`, or move that one away"),
        ) from None
    except OSError as error:
        said = text("cannot write {file}: {reason}", file=str(path), reason=error.strerror)
        raise UsageFault(said, text("name a path that can be written")) from None


def made(kata: Kata, folder: Path, language: Language, file: str, told: str = "") -> str:
    """The notebook that is to stand in `folder`, with this file in its last cell.

    told: options of the magic, each after a space. Raises UsageFault where the kata has no statement, and where the packages
    for notebooks are missing.
    """
    try:
        import nbformat
    except ImportError:  # an extra
        raise UsageFault(
            text("notebooks take packages that are not installed"),
            text("install them with `pip install 'gradkata[notebook]'`"),
        ) from None
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = [
        new_markdown_cell(_page(statement(kata, language), kata.folder, folder), id="statement"),
        new_markdown_cell(language.text(_HOW, kata=kata.slug), id="how"),
        new_code_cell("%load_ext grader", id="load"),
        new_code_cell(f"%%grade {kata.slug}{told}\n{file}", id="file"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(document)
    return f"{nbformat.writes(document)}\n"


_HOW = (
    "Run the next cell once. Then fill in the one below it: each time that you run it, it is judged as your file. "
    "With `--define` behind `%%grade {kata}` what it defines is there in the notebook too, to be tried in cells of your own."
)


def options(course: Course, folder: Path, language: Language) -> str:
    """What the magic has to be told, since it cannot be told by where the notebook stands or by the environment."""
    found = f" --lang {language.code}" if language != of_environment(os.environ) else ""
    if course.root not in (folder, *folder.parents):
        found += f" --course {shlex.quote(str(course.root))}"
    return found


def file_of(kata: Kata) -> str:
    """The learner's file as it is now. Raises UsageFault where it cannot be read."""
    try:
        return kata.stub.read_text(encoding="utf-8-sig").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or text("it is not UTF-8")
        shown = f"katas/{kata.id}/{kata.stub.name}"
        raise UsageFault(
            text("{file} cannot be read: {reason}", file=shown, reason=reason),
            text("`grade reset {kata}` brings the stub back", kata=kata.slug),
        ) from None


def _page(markdown: str, here: Path, there: Path) -> str:
    """A page from one folder for another: relative links lead where they led, and formulae are as notebooks have them."""
    lines, fence, formula = [], "", False
    for line in markdown.rstrip("\n").split("\n"):
        found = _FENCE.match(line)
        if found and not fence:
            fence, formula = found[1], found[2] == "math"
            lines.append("$$" if formula else line)
        elif found and found[1].startswith(fence) and not found[2]:
            lines.append("$$" if formula else line)
            fence, formula = "", False
        else:
            lines.append(line if fence else _INLINE.sub(r"$\1$", _LINK.sub(lambda it: _moved(it, here, there), line)))
    return "\n".join(lines)


def _moved(link: re.Match[str], here: Path, there: Path) -> str:
    return link[1] + Path(os.path.relpath(here / link[2], there)).as_posix()
