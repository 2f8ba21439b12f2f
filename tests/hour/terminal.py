"""A terminal of 80 by 24 with a shell in it: what is typed, what is pressed, and what it shows."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

COLUMNS, ROWS = 80, 24
PROMPT = "$"
_SECONDS = 900.0  # that anything may take, an installation too
_BETWEEN = 0.05  # two looks at the screen


class Overdue(Exception):
    """What was waited for is not on the screen, which the message shows."""


class Terminal:
    """One pane of tmux, in a server of its own, with bash and nothing of whoever runs this."""

    def __init__(self, socket: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._socket = str(socket)
        shell = ["env", "-i", *(f"{name}={value}" for name, value in environment.items())]
        shell += ["bash", "--noprofile", "--norc", "-i"]
        self._tmux(
            "start-server", ";", "set-option", "-g", "history-limit", "50000", ";",
            "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(folder), shlex.join(shell),
        )  # fmt: skip
        self._waited(lambda: self.screen().strip() == PROMPT)

    def run(self, command: str, until: str = "") -> None:
        """Type a command, and wait for the next prompt, or until something is shown."""
        self._tmux("send-keys", "-l", command)
        self._waited(lambda: self._all().rstrip().endswith(f"{PROMPT} {command}"))
        self.press("Enter")
        if until:
            self.until(until)
        else:
            self._prompted()

    def leave(self, key: str) -> None:
        """Press what ends a program, and wait for the prompt."""
        self.press(key)
        self._prompted()

    def press(self, *keys: str) -> None:
        """Keys by their names in tmux."""
        self._tmux("send-keys", *keys)

    def until(self, *words: str, gone: Sequence[str] = ()) -> None:
        """Wait until all of this is on the screen, and nothing of what is to be gone."""

        def there() -> bool:
            shown = self.screen()
            return all(each in shown for each in words) and not any(each in shown for each in gone)

        self._waited(there)

    def screen(self, *, coloured: bool = False) -> str:
        """What is shown now."""
        return self._tmux("capture-pane", "-p", *["-e"] * coloured)

    def since(self, command: str, *, coloured: bool = False) -> str:
        """All that was shown from the line on where a command was typed last, without the prompt after it."""
        plain = self._all().rstrip("\n").split("\n")
        start = max(number for number, line in enumerate(plain) if line.startswith(f"{PROMPT} {command[:70]}"))
        shown = self._all(coloured=coloured).rstrip("\n").split("\n")[start:]
        return "\n".join(shown[:-1] if plain[-1].rstrip() == PROMPT else shown)

    def close(self) -> None:
        self._tmux("kill-server")

    def _all(self, *, coloured: bool = False) -> str:
        return self._tmux("capture-pane", "-p", "-S", "-", *["-e"] * coloured)

    def _prompted(self) -> None:
        self._waited(lambda: self._all().rstrip().split("\n")[-1] == PROMPT)

    def _waited(self, shown: Callable[[], bool]) -> None:
        overdue = time.monotonic() + _SECONDS
        while not shown():
            if time.monotonic() > overdue:
                raise Overdue(self.screen())
            time.sleep(_BETWEEN)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
