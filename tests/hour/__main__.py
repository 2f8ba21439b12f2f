"""Play the hour in both languages, and write the page of each and the pictures: `make hour`.

    python -m tests.hour [--in DIR] [en] [zh]

With `--in` it is played in DIR, where what was installed is left for the next time.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from tests.hour import pictures
from tests.hour.desk import Desk
from tests.hour.story import Hour, Told
from tests.hour.terminal import COLUMNS, Terminal

ROOT = Path(__file__).parents[2]
PAGES = ROOT / ".github/docs/learners"
PICTURES = ROOT / ".github/docs/pictures"
TITLES = {"scorecard": "grade cnn", "watch": "grade watch"}


def main(home: Path, languages: list[str]) -> None:
    """The pages of these languages; pictures are those of the English hour."""
    for folder in (PAGES, PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    for language in languages:
        print(f"playing the hour in {language}", flush=True)
        desk = Desk(home, ROOT)
        told = played(desk, language)
        suffix = ".md" if language == "en" else f".{language}.md"
        (PAGES / f"first-hour{suffix}").write_text("\n\n".join(told.parts) + "\n", encoding="utf-8")
        if language == "en":
            draw(told, desk)


def played(desk: Desk, language: str) -> Told:
    """The hour in a fresh clone, which is left there. Raises Overdue where the screen does not show what it must."""
    desk.clear()
    socket = desk.home / "tmux"
    with closing(Terminal(socket, desk.home, desk.environment(language))) as terminal:
        hour = Hour(desk, terminal, language)
        hour.play()
    return hour.told


def draw(told: Told, desk: Desk) -> None:
    """Two screens, and the page that `grade report --html` wrote."""
    for name, title in TITLES.items():
        (PICTURES / f"{name}.svg").write_text(pictures.terminal(told.pictures[name], title, COLUMNS), encoding="utf-8")
    (PICTURES / "report.png").write_bytes(pictures.page(desk.course / ".grade/report.html"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.hour")
    parser.add_argument("--in", dest="home", type=Path, metavar="DIR")
    parser.add_argument("languages", nargs="*", default=["en", "zh"], metavar="en|zh")
    asked = parser.parse_args()
    if asked.home is not None:
        main(asked.home.resolve(), asked.languages)
    else:
        with tempfile.TemporaryDirectory(prefix="hour-") as made:
            main(Path(made), asked.languages)
