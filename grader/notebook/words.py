"""What stands behind `%%grade`: names of katas, and options as the command has them."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageFault, did_you_mean
from grader.messages import Message, text
from grader.messages.language import VARIABLE, Language, code_of, known, of_environment

_WITH_VALUE = ("--seed", "--lang", "--course", "--jobs", "-k")
_FLAGS = ("--fresh", "--define", "--all", "-x", "-s", "--help")
_NO = ("0", "false", "no", "off", "f", "n")
_SHORT = {"-j": "--jobs", "-h": "--help"}
HELP = text(
    """Judge the cell as the learner's file for a kata: same judge, same verdicts as `grade` in a terminal.

%%grade KATA [--all] [-k EXPR] [-x] [-s] [--fresh] [--define] [--seed N] [--lang CODE] [--course DIR]
    judges the cell; --define also runs it in the kernel, so that what it defines can be tried
%grade [KATA...] [--all] [-k EXPR] [-x] [-s] [--fresh] [--jobs N] [--seed N] [--lang CODE] [--course DIR]
    judges the files of the course"""
)


@dataclass(frozen=True)
class Asked:
    """What is to be judged, and how.

    fresh: judge again what is known already; define: run the cell in the kernel too, once it is judged
    diagnosis: whether known mistakes are named, which GRADE_DIAGNOSIS=no leaves to `grade hint`, as for the command
    """

    katas: tuple[str, ...]
    language: Language
    fresh: bool = False
    define: bool = False
    diagnosis: bool = True
    seed: int = 0
    jobs: int | None = None
    every: bool = False  # failing tests, not only the first of a kata
    prints: bool = False  # of tests that pass, too
    choose: str = ""  # tests, by parts of their names, numbers, or words of their titles
    stop_at_first: bool = False
    course: Path | None = None
    help: bool = False


def read(line: str) -> Asked:
    """The words behind the magic. Raises UsageFault where they mean nothing."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageFault(text("these words cannot be read: {why}", why=str(error)), _usage()) from None
    katas: list[str] = []
    options: dict[str, str] = {}
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        name = _SHORT.get(name, name)
        if not word.startswith("-"):
            katas.append(word)
        elif name in _FLAGS and not equals:
            options[name] = "yes"
        elif name in _WITH_VALUE:
            if not equals and not words:
                raise UsageFault(text("{option} needs a value", option=name), _usage())
            options[name] = value if equals else words.pop(0)
        else:
            meant = did_you_mean(name, (*_FLAGS, *_WITH_VALUE))
            raise UsageFault(text("there is no option {option}", option=word), meant or _usage())
    return Asked(
        tuple(katas),
        _language(options.get("--lang") or os.environ.get(VARIABLE, "")),
        "--fresh" in options,
        "--define" in options,
        os.environ.get("GRADE_DIAGNOSIS", "yes").strip().lower() not in _NO,
        _whole("--seed", options.get("--seed", "0"), 0, 10**18 - 1),
        _whole("--jobs", options["--jobs"], 1, 64) if "--jobs" in options else None,
        "--all" in options,
        "-s" in options,
        options.get("-k", ""),
        "-x" in options,
        Path(options["--course"]) if "--course" in options else None,
        "--help" in options,
    )


def _usage() -> Message:
    return text(
        "it goes like this: %%grade KATA [--all] [-k EXPR] [-x] [-s] [--fresh] [--define] [--seed N] [--lang CODE] [--course DIR]"
    )


def _whole(option: str, value: str, least: int, most: int) -> int:
    if value.isascii() and value.isdigit() and least <= int(value) <= most:
        return int(value)
    wanted = text("give it a whole number from {least} to {most}", least=least, most=most)
    raise UsageFault(text("{option} cannot be {value!r}", option=option, value=value), wanted)


def _language(name: str) -> Language:
    """The language of this name, or without one that of the environment."""
    if not name:
        return of_environment(os.environ)
    code = code_of(name)
    if code is None:
        unknown = text("there is no language {name!r}", name=name)
        raise UsageFault(unknown, text("the languages are {names}", names=known()))
    return Language(code)
