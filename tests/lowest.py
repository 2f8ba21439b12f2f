"""The oldest version of every requirement that pyproject.toml admits, torch apart, as arguments for pip: see `make lowest`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def pins(requirements: list[str]) -> list[str]:
    """`click>=8.1` becomes `click==8.1.*`."""
    found = [re.match(r"([\w-]+)>=([\d.]+)", requirement) for requirement in requirements]
    oldest = [(match[1], match[2] if "." in match[2] else f"{match[2]}.0") for match in found if match]
    return [f"{name}=={version}.*" for name, version in oldest if name != "torch"]


if __name__ == "__main__":
    print(*pins(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]))
