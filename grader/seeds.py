"""The secret seed of a run: drawn from the system's randomness, so long that its digest tells nobody what it is."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from grader.errors import UsageFault
from grader.messages import text

_BYTES = 32  # 256 bits: nobody finds a seed by trying, whatever a scorecard says of it
_DIGITS = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}\n?")


@dataclass(frozen=True)
class Secret:
    """A seed that is shown nowhere; scorecards carry `sha256`, the digest of its hexadecimal digits."""

    digits: str = field(repr=False)

    @property
    def sha256(self) -> str:
        return sha256(self.digits.encode()).hexdigest()


def draw() -> Secret:
    """A new one, known to nobody."""
    return Secret(secrets.token_hex(_BYTES))


def kept_in(path: Path) -> tuple[Secret, bool]:
    """The seed in a file, which only its owner can read; drawn and put there if there is no such file.

    Returns it, and whether it is a new one. Raises UsageFault where the file cannot be read or written, or holds
    anything else: a seed of one's own choosing can be guessed.
    """
    try:
        if os.path.lexists(path):
            return _read(path), False
        new = draw()
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(new.digits + "\n")
        try:
            os.link(part, path)  # whole at once, and never over another: many machines may begin at the same moment
        except FileExistsError:
            return _read(path), False
        finally:
            part.unlink()
        return new, True
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(
            text("{file} cannot keep a seed: {error}", file=str(path), error=str(error)),
            text("name a file that can be written"),
        ) from None


def _read(path: Path) -> Secret:
    with open(path, encoding="ascii") as file:
        digits = file.read(2 * _BYTES + 2)
    if not _DIGITS.fullmatch(digits):
        raise UsageFault(
            text("{file} does not hold a seed", file=str(path)),
            text("name a file that is not there yet, and a seed is drawn into it"),
        )
    return Secret(digits.rstrip("\n"))
