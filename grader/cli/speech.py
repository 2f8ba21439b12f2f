"""The language that the command speaks: one for the process, chosen before anything is said.

`--lang` wherever it stands among the arguments, else GRADE_LANG, else the locale.
"""

from __future__ import annotations

import gettext
import os
import sys
from collections.abc import Sequence

from grader.errors import UsageFault
from grader.messages import Value, text
from grader.messages.language import DOMAIN, LOCALE, VARIABLE, Language, code_of, known, of_environment

OPTION = "--lang"
_chosen = Language()


def choose(args: Sequence[str]) -> None:
    """Speak what the arguments or the environment ask for. Raises UsageFault for a language that the harness lacks."""
    global _chosen
    _speak(of_environment(os.environ))
    place = _place(args)
    asked = os.environ.get(VARIABLE, "") if place is None else _name(args, place)
    if not asked:
        return
    code = code_of(asked)
    if code is None:
        unknown = text("there is no language {name!r}", name=asked)
        raise UsageFault(unknown, text("the languages are {names}", names=known()))
    _speak(Language(code))


def _speak(language: Language) -> None:
    """From here on in this language, click's own words too, which go through gettext.

    LANGUAGE is what gettext goes by, in this process and in git, where that is started; no judge and no worker is given it.
    """
    global _chosen
    _chosen = language
    gettext.bindtextdomain(DOMAIN, LOCALE)
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language.code


def language() -> Language:
    """The language of this process."""
    return _chosen


def note(said: Value) -> None:
    """Something by the way, on standard error."""
    print(f"grade: {_chosen.say(said)}", file=sys.stderr)


def note_interrupt() -> None:
    note(text("interrupted"))


def without_language(args: Sequence[str]) -> list[str]:
    """The arguments without the language, which was chosen before anything else."""
    place = _place(args)
    if place is None or (args[place] == OPTION and place + 1 == len(args)):
        return list(args)
    return without_language([*args[:place], *args[place + (2 if args[place] == OPTION else 1) :]])


def _place(args: Sequence[str]) -> int | None:
    """Where among the arguments the language is asked for; None where it is not."""
    end = args.index("--") if "--" in args else len(args)
    places = (place for place, arg in enumerate(args[:end]) if arg == OPTION or arg.startswith(f"{OPTION}="))
    return next(places, None)


def _name(args: Sequence[str], place: int) -> str:
    """The language at a place; "" where the option is the last of all, which click is to complain of."""
    return "".join(args[place + 1 : place + 2]) if args[place] == OPTION else args[place].removeprefix(f"{OPTION}=")
