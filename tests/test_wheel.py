"""The package as it is installed: built once, checked, put into an environment of its own, and used far from this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
Grade = Callable[..., str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that was built from it."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "dist"))
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(build, capture_output=True, check=True)
    return out


@pytest.fixture(scope="session")
def grade(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Grade:
    """The command of an environment that has the wheel, and of all else what this one has."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    python = home / "bin/python"
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*install, "--force-reinstall", str(wheel)], check=True, capture_output=True)
    where = subprocess.run(
        [str(python), "-c", "import grader; print(grader.__file__)"],
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.startswith(str(packages))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADE"))}

    def run(*words: str, cwd: Path, code: int = 0) -> str:
        command = [str(home / "bin/grade"), *words]
        done = subprocess.run(command, cwd=cwd, env=environment | {"LC_ALL": "C.UTF-8"}, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


def test_both_packages_are_in_order(built: Path) -> None:
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    command = [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)


def test_the_wheel_has_schemas_templates_and_catalogues_and_no_katas(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "grader").rglob("*") if path.is_file()}
    wanted = {name for name in ours if "__pycache__" not in name and not name.endswith(".md")}
    assert {name for name in names if name.startswith("grader/")} == wanted
    assert {name.split("/")[0].split("-")[0] for name in names} == {"grader", "gradkata"}
    assert wanted <= in_sdist and not [name for name in in_sdist if name.startswith(("katas/", "reference/"))]


def test_a_course_of_ones_own_in_a_minute(grade: Grade, tmp_path: Path) -> None:
    """From an empty folder to a release in which a learner passes, with nothing but the installed command."""
    course, learner = tmp_path / "lines", tmp_path / "class"
    course.mkdir()
    grade("init", cwd=course)
    assert yaml.safe_load((course / ".github/workflows/grade.yml").read_text(encoding="utf-8"))["name"] == "grade"
    assert (course / ".github/workflows/grade.yml").read_bytes() == (ROOT / ".github/workflows/grade.yml").read_bytes()
    said = grade("new", "my_topic", "--worker", "numpy", cwd=course)
    assert "katas/02_my_topic/kata.toml\n" in said
    assert "1 of 1 katas hold" in grade("check", "line", "--seeds", "1", cwd=course)
    assert f"{learner}: 2 katas\n" in grade("release", str(learner), cwd=course)
    assert tomllib.loads((learner / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert (learner / "grader/LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert "0/10" in grade("run", "my_topic", cwd=learner, code=1)
    solution = course / "reference/02_my_topic/my_topic.py"
    shutil.copy(solution, learner / "katas/02_my_topic/my_topic.py")
    assert "✓ pass" in grade("run", "my_topic", cwd=learner)
