"""The files of a course that are in TOML: read, brought to the version of today, and held to their schema."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from grader.errors import CourseFault, Fault
from grader.messages import text
from grader.schema import faults as schema_faults

SCHEMAS = Path(__file__).parent / "schemas"

Fields = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """A kind of file: its schema, which holds for `version`, and the steps that lead there from older versions.

    steps: from a version to the fields of the next one, so that what was written for an older grader is still read.
    """

    schema: Path
    version: int
    steps: Mapping[int, Callable[[Fields], Fields]] = field(default_factory=dict, hash=False)


def read(
    root: Path,
    path: Path,
    form: Format,
    *,
    known_good: Callable[[str], bool] = lambda digest: False,
    on_good: Callable[[str], None] = lambda digest: None,
) -> Fields:
    """The fields of one file of the course at `root`, in today's version; raises CourseFault with all that is wrong.

    Holding a file to its schema means importing jsonschema, which costs more than all the rest. So it is done once for
    each content: `on_good` is told the digest of what was found good (of schema and file together), and `known_good` is
    asked for it the next time.
    """
    file = path.relative_to(root).as_posix()
    content, fields = _parsed(path, file)
    fields = _of_today(fields, file, form)
    rules = form.schema.read_bytes()
    digest = sha256(rules + content).hexdigest()
    if not known_good(digest):
        if faults := schema_faults(file, json.loads(rules), fields):
            raise CourseFault(faults)
        on_good(digest)
    return fields


def _parsed(path: Path, file: str) -> tuple[bytes, Fields]:
    try:
        content = path.read_bytes()
        return content, tomllib.loads(content.decode("utf-8-sig"), parse_float=_finite)
    except OSError as error:
        raise CourseFault([Fault(file, wanted=text("cannot be read: {reason}", reason=error.strerror))]) from None
    except (ValueError, RecursionError) as error:
        end = f"at the end, line {len(content.splitlines())}"
        reason = str(error).replace("at end of document", end)
        raise CourseFault([Fault(file, wanted=text("is not valid TOML: {reason}", reason=reason))]) from None


def _of_today(fields: Fields, file: str, form: Format) -> Fields:
    """The fields as the newest version has them. A version that no step leads on from is the one fault that is told."""
    found = fields.get("format_version")
    if type(found) is not int:
        return fields  # which the schema says
    version = found
    while (step := form.steps.get(version)) is not None:
        version += 1
        fields = {**step(fields), "format_version": version}
    if version != form.version:
        newer = text("made for a newer grader: upgrade gradkata")
        older = text("this grader does not know so old a format")
        wanted, help = text("must be {value}", value=form.version), newer if version > form.version else older
        raise CourseFault([Fault(file, "format_version", wanted, str(found), help)])
    return fields


def _finite(number: str) -> float | str:
    """TOML has inf and nan, which slip through comparisons; as text they are of the wrong type."""
    return value if math.isfinite(value := float(number)) else number
