"""Changes to the text of a `kata.toml` that leave its comments and its order as they are."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any


def with_number(manifest: str, key: str, value: int) -> str:
    """With `key = value` before the first table; a comment behind it stays."""
    head, tables = _parted(manifest)
    changed, found = re.subn(rf"(?m)^({key}[ \t]*=[ \t]*)\d+", rf"\g<1>{value}", head, count=1)
    return (changed if found else _added(head, f"{key} = {value}")) + tables


def with_list(manifest: str, key: str, values: Sequence[str]) -> str:
    """With `key = [values]` before the first table; a key that is not there and would be empty is left out."""
    head, tables = _parted(manifest)
    line = f"{key} = {json.dumps(list(values), ensure_ascii=False)}"
    changed, found = re.subn(rf"(?ms)^{key}[ \t]*=[ \t]*\[.*?\]", lambda _: line, head, count=1)
    if not found and values:
        changed = _added(head, line)
    return changed + tables


def with_points(manifest: str, points: dict[str, float]) -> str:
    """With these kinds in the table [points], at its end in the order given; what it has already stays."""
    lines = "".join(f"{kind} = {value:g}\n" for kind, value in points.items())
    if not lines:
        return manifest
    table = re.search(r"(?m)^[ \t]*\[points\].*\n((?:(?![ \t]*\[).*\n)*)", manifest)
    if table is None:
        head, tables = _parted(manifest)
        return f"{head.rstrip()}\n\n[points]\n{lines}\n{tables}"
    end = table.start(1) + len(table[1].rstrip()) + (1 if table[1].strip() else 0)
    return manifest[:end] + lines + manifest[end:]


def without_points(manifest: str, kinds: Sequence[str]) -> str:
    """Without these kinds in the table [points]."""
    before, header, points = (
        re.split(r"(?m)^([ \t]*\[points\].*\n)", manifest, maxsplit=1) if "[points]" in manifest else (manifest, "", "")
    )
    for kind in kinds:
        points = re.sub(rf"(?m)^[ \t]*{kind}[ \t]*=.*\n", "", points, count=1)
    return before + header + points


def says(manifest: str, wanted: dict[str, Any]) -> bool:
    """Whether this text has just these fields."""
    try:
        return tomllib.loads(manifest) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _parted(manifest: str) -> tuple[str, str]:
    """What stands before the first table, and the rest."""
    table = re.search(r"(?m)^[ \t]*\[", manifest)
    return (manifest, "") if table is None else (manifest[: table.start()], manifest[table.start() :])


def _added(head: str, line: str) -> str:
    body = head.rstrip()
    return f"{body}\n{line}\n{head[len(body) :].removeprefix(chr(10))}"
