"""What is taken out of a capture: the folders and the clock of the machine that played the hour; every width stays."""

from __future__ import annotations

import re
from collections.abc import Mapping

MINUTE = "2026-09-01 09:00"
_SECONDS = re.compile(r"(?<![\w.])(\d+\.\d)(?= (?:s\b|秒))")
_IN_A_LINE = re.compile(r"(?<=·) +(?=0\.5 )")
_MINUTE = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b")
_SPAN = re.compile(r"\b\d+ (?:minutes?|hours?)(?= · \d)")
_SPAN_ZH = re.compile(r"\d+ (?=(?:分钟|小时) · \d)")
_PROGRESS = re.compile(r"^Updating files:.*\n?", re.MULTILINE)  # of git, where a disk is slow


def neutral(capture: str, names: Mapping[str, str]) -> str:
    """A screen without trailing spaces and empty lines, with seconds as 0.5, one moment for all, and `names` replaced."""
    for name, shown in sorted(names.items(), key=lambda each: -len(each[0])):
        capture = capture.replace(name, shown)
    capture = _SECONDS.sub(lambda found: "0.5".rjust(len(found[1])), _PROGRESS.sub("", capture))
    capture = _MINUTE.sub(MINUTE, _IN_A_LINE.sub(" ", capture))
    capture = _SPAN_ZH.sub("1 ", _SPAN.sub("1 minute", capture))
    lines = [line.rstrip() for line in capture.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def cut(capture: str, most: int) -> str:
    """The first lines, and a sign where more were shown."""
    lines = capture.split("\n")
    return "\n".join(lines if len(lines) <= most else [*lines[:most], "…"])


def framed(capture: str, kind: str = "text") -> str:
    """A screen as a block of Markdown, which nothing in it can end."""
    longest = max((len(found) for found in re.findall(r"`{3,}", capture)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{capture}\n{fence}"
