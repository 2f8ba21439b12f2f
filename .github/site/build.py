"""The site, from the pages of the repository as they stand: `make site` writes it to build/site, English and, in zh/, Chinese.

A page that has no Chinese stands there in English. Links between pages are led to where the pages are here, files that a page
links to come along, and mkdocs refuses what leads nowhere. Nothing is fetched, neither here nor by who reads it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from formulae import mathml  # noqa: E402  # beside this file, which is in no package

PATTERNS = (
    "README.md", "CHANGELOG.md", ".github/*.md", ".github/docs/*.md", ".github/docs/learners/*.md", "katas/README.md", "katas/*/README.md",
    "reference/README.md", "grader/README.md", "tests/README.md", "tests/escapes/README.md",
)  # fmt: skip
HOME = ".github/docs/index.zh.md"  # what the README is in Chinese
LANGUAGES = {"en": "English", "zh": "中文"}
_PLAIN = 'target="_self"'  # of a link to another language, which the theme would else take for its own, and lead home
FORMULA = re.compile(r"(^## (?:The formula|公式)\n\n)```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]\n]*(?:\n[^\]\n]*)?)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def target(path: str) -> str:
    """Where a page of the repository is in the site: folders without dots, and `index.md` for a README."""
    parts = [part.lstrip(".") for part in PurePosixPath(path.replace(".github/", "", 1)).parts]
    name = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
    last = name.get(parts[-1], parts[-1].lower())
    return "/".join([*parts[:-1], last])


def pages() -> dict[str, str]:
    """Every English page by its path, and where it goes."""
    found = [path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
    return {path: target(path) for path in found if not path.endswith(".zh.md")}


class Site:
    """The pages of one language, in a folder that mkdocs reads."""

    def __init__(self, code: str, folder: Path) -> None:
        self.code, self.folder, self.pages = code, folder, pages()

    def write(self) -> None:
        for path, place in self.pages.items():
            self._page(path, place)

    def _page(self, path: str, place: str) -> None:
        own = ROOT / path
        translated = ROOT / HOME if path == "README.md" else own.with_name(own.name.replace(".md", ".zh.md"))
        text = (translated if self.code == "zh" and translated.is_file() else own).read_text(encoding="utf-8")
        text = FORMULA.sub(lambda found: found[1] + mathml(found[2]), text)
        parts = FENCE.split(text)
        read = HOME if path == "README.md" and self.code == "zh" else path
        parts[::2] = [LINK.sub(lambda found: self._link(read, place, *found.groups()), part) for part in parts[::2]]
        page = self.folder / place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("".join(parts) + self._other(place, translated.is_file()), encoding="utf-8")

    def _link(self, page: str, at: str, mark: str, words: str, to: str) -> str:
        """One link of a page that is shown `at` a place, to where its target is here."""
        name, _, place = to.partition("#")
        if "://" in to or not name:
            return f"{mark}[{words}]({to})"
        wanted = os.path.normpath(PurePosixPath(page).parent / name)
        fragment = f"#{place}" if place else ""
        here = PurePosixPath(at).parent
        if wanted.endswith(".zh.md"):
            other = self.pages[wanted.replace(".zh.md", ".md")]
            if self.code == "zh":
                return f"{mark}[{words}]({os.path.relpath(other, here)}{fragment})"
            return f'<a href="{_url(at, f"zh/{other}")}{fragment}" {_PLAIN}>{words}</a>'
        for known in (wanted, f"{wanted}/README.md"):
            if known in self.pages:
                return f"{mark}[{words}]({os.path.relpath(self.pages[known], here)}{fragment})"
        file = ROOT / wanted
        if not file.is_file():
            return words  # a folder without a page of its own, or a branch of whoever reads it
        copy = "files/" + "/".join(part.lstrip(".") for part in PurePosixPath(wanted).parts)
        (self.folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, self.folder / copy)
        return f"{mark}[{words}]({os.path.relpath(copy, here)})"

    def _other(self, place: str, translated: bool) -> str:
        if not translated:
            return ""
        code = "en" if self.code == "zh" else "zh"
        to = _url(f"zh/{place}", place) if code == "en" else _url(place, f"zh/{place}")
        return f'\n<p class="other-language"><a href="{to}" hreflang="{code}" {_PLAIN}>{LANGUAGES[code]}</a></p>\n'


def _url(page: str, other: str) -> str:
    """From the address of one page to that of another, both with folders for addresses."""

    def folder(place: str) -> str:
        return place.removesuffix("index.md") if place.endswith("index.md") else place.removesuffix(".md") + "/"

    return os.path.relpath(folder(other) or ".", folder(page) or ".") + "/"


def build(out: Path) -> None:
    """Both languages into `out`, of which nothing is left from before. Raises CalledProcessError where a link is dead."""
    shutil.rmtree(out, ignore_errors=True)
    for code in LANGUAGES:
        source = out.with_name(f"{out.name}-source-{code}")
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        shutil.copy(HERE / "site.css", source)
        Site(code, source).write()
        environment = {
            **os.environ,
            "SITE_LANGUAGE": code,
            "SITE_SOURCE": str(source),
            "SITE_EN": "./" if code == "en" else "../",
            "SITE_ZH": "zh/" if code == "en" else "./",
            "NO_MKDOCS_2_WARNING": "1",
        }
        place = out if code == "en" else out / code
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", "mkdocs.yml"]
        subprocess.run([*command, "--site-dir", str(place.resolve())], cwd=HERE, env=environment, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1] if sys.argv[1:] else "build/site"))
