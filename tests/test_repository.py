"""The repository as a stranger finds it: what stands where, pages that tell the truth, and a Makefile that works."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from grader import __version__
from grader.authoring.showing.course import course_paths, course_table, course_tracks, relisted
from grader.cli.commands import grade
from grader.course import Course, find
from grader.study import paths

ROOT = Path(__file__).parents[1]

FOLDERS = {"katas", "reference", "grader", "tests"}
FILES = {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "course.toml", "pyproject.toml"}
DOTTED = {".gitignore", ".github", ".ci"}

# What `grader.checks.assert_state` holds a module to, word for word in every statement that asks for one.
STATE = {
    "README.md": "- Each module has the parameters named here and in its docstring and no others, no two in one memory; buffers, "
    "attributes and second names are free.\n",
    "README.zh.md": "- 每个模块的参数就是本页和文档字符串里列出的那些，不多不少，任何两个都不共用内存；"
    "缓冲区、其他属性和参数的第二个名字不限。\n",
}

HOME = re.compile(r"(?<![\w.~])(?:/(?:(?:home|Users)/\w[\w.-]*|root)/|[A-Za-z]:\\Users\\)")
HOSTILE = "tests/escapes/"  # attacks name such places on purpose


def tracked() -> list[str]:
    """Every file that is in the repository, or would be after `git add`."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return sorted(name for name in names if name and (ROOT / name).is_file())


def pages() -> list[str]:
    """The project's own pages; statements of katas are held by the tests of katas."""
    return [name for name in tracked() if name.endswith(".md") and not re.match(r"katas/\d|tests/toy", name)]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def code_of(page: str) -> str:
    """What a page shows as code, in blocks and between backticks; scorecards and measurements apart."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"<!-- (scorecard|bench) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest)])


def test_only_what_every_repository_has_stands_beside_the_four_folders() -> None:
    top = {name.split("/")[0] for name in tracked()}
    assert top <= FOLDERS | FILES | DOTTED
    assert top >= FOLDERS | FILES


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_each_folder_says_what_belongs_in_it(folder: str) -> None:
    assert len((ROOT / folder / "README.md").read_text(encoding="utf-8").splitlines()) > 3


def test_no_tracked_file_names_a_folder_of_somebodys_machine() -> None:
    here = re.compile(rf"(?<![\w.]){re.escape(str(ROOT))}(?![\w.-])")
    found = []
    for name in tracked():
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        if not name.startswith(HOSTILE):
            found += [f"{name}: {match[0]}" for pattern in (HOME, here) for match in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("text", ["see /{}/ada/katas", "'/{}/ada/.venv/bin/python'", "PATH=/bin:/{}/a-b/bin"])
@pytest.mark.parametrize("folder", ["home", "Users"])
def test_a_home_folder_is_recognised(text: str, folder: str) -> None:
    assert HOME.search(text.format(folder))


@pytest.mark.parametrize(
    "text", ["katas/home/ada/x", "https://example.org/home/ada/", "~/" + "root/x", "/home", "/root"]
)
def test_what_only_looks_like_a_home_folder_is_left_alone(text: str) -> None:
    assert not HOME.search(text)


@pytest.mark.parametrize("page", pages())
def test_every_make_command_on_a_page_is_a_target(page: str) -> None:
    assert set(re.findall(r"\bmake ([a-z]+)", code_of(page))) <= targets()


@pytest.mark.parametrize("page", pages())
def test_every_link_on_a_page_leads_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link and not link.startswith("#")]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link.split("#")[0]).exists()] == []


def test_the_readme_opens_with_two_commands() -> None:
    first = re.search(r"^```.*?\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert first is not None
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == ["make grade", "make test"]


def test_the_readme_quotes_what_stands_in_the_katas() -> None:
    blocks = re.findall(
        r"^```(?:python|toml)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    files = [
        (ROOT / name).read_text(encoding="utf-8") for name in tracked() if name.startswith(("katas/", "reference/"))
    ]
    assert len(blocks) == 4
    assert [block for block in blocks if not any(block in text for text in files)] == []


@pytest.mark.parametrize("kata", sorted(path.name for path in (ROOT / "katas").glob("[0-9]*")))
def test_a_statement_says_what_a_module_may_hold_if_it_asks_for_one(kata: str) -> None:
    (stub,) = (path for path in (ROOT / "katas" / kata).glob("*.py") if not path.name.startswith("test_"))
    asks = any(
        "nn.Module" in map(ast.unparse, each.bases) and "NotImplementedError" in ast.unparse(each)
        for each in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(each, ast.ClassDef)
    )
    for page, sentence in STATE.items():
        assert (ROOT / "katas" / kata / page).read_text(encoding="utf-8").count(sentence) == int(asks), page


def test_the_readme_has_room_for_what_is_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("scorecard", "bench"):
        assert re.search(rf"<!-- {name} -->\n.+?<!-- /{name} -->", readme, re.DOTALL)


@pytest.mark.parametrize(
    ("page", "mark", "listed"),
    [
        ("README.md", "course", course_table),
        ("katas/README.md", "course", course_tracks),
        ("katas/README.md", "paths", course_paths),
    ],
)
def test_the_pages_list_the_course(page: str, mark: str, listed: Callable[[Course], str]) -> None:
    """With COURSE=write in the environment the list is written instead."""
    path = ROOT / page
    found = path.read_text("utf-8")
    wanted = relisted(found, listed(find(ROOT, ROOT)), mark)
    assert f"<!-- {mark} -->\n" in found
    if os.environ.get("COURSE") == "write":
        path.write_text(wanted, encoding="utf-8")
    elif found != wanted:
        pytest.fail(f"{page} lists another course: COURSE=write pytest tests/test_repository.py writes it anew")


def test_every_path_leads_through_katas_whose_requirements_it_has() -> None:
    assert not [*paths.faults(find(ROOT, ROOT))]


def test_every_command_and_option_on_a_page_is_one_of_the_commands() -> None:
    context = click.Context(grade)
    commands = {name: grade.get_command(context, name) for name in grade.list_commands(context)}
    options = {name: {opt for param in command.params for opt in param.opts} for name, command in commands.items()}
    common = {"--help", "-h", "--version"}
    for page in pages():
        for line in re.findall(r"^(?:\$ )?(?:\S*/bin/)?grade\b(?! *=)(.*)", code_of(page), re.MULTILINE):
            words = shlex.split(line, comments=True)
            name = words[0] if words and words[0] in commands else "run"
            used = {word.split("=")[0] for word in words if word.startswith("-")}
            assert used <= options[name] | common, f"{page}: grade {line}"


def test_the_changelog_has_this_version_and_the_licence_its_holder() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## Unreleased", changelog, re.MULTILINE)
    assert re.search(rf"^## {re.escape(__version__)}\b", changelog, re.MULTILINE)
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License") and "Copyright (c) gradkata contributors" in licence


def test_the_package_takes_along_every_file_that_it_reads() -> None:
    """Whatever stands in grader/ and is no Python is package data, or a page."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["grader"]
    taken = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in (ROOT / "grader").glob(pattern)}
    other = {name for name in tracked() if name.startswith("grader/") and not name.endswith((".py", ".md"))}
    assert taken == other


def test_the_check_of_a_fresh_clone_can_be_started() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)


def test_a_warning_in_a_learners_file_fails_no_plain_pytest(tmp_path: Path) -> None:
    """As under `grade`; the strictness of the project's own tests stays with `make test`."""
    right = (ROOT / "tests/toy/reference/01_scale/scale.py").read_text(encoding="utf-8")
    (tmp_path / "scale.py").write_text(f"{right}\nimport warnings\nwarnings.warn('an old habit')\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "tests/toy/katas/01_scale", "--from", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_pytest_alone_collects_the_katas_and_make_test_the_projects_own_tests(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tests/toy/katas", tmp_path / "katas", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"tests/test_{name}.py").write_text("def test_of_ours(): pass\n", encoding="utf-8")

    def collected(*words: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", *words, "--collect-only", "-q"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}

    def of_make(*words: str) -> list[str]:
        told = make(tmp_path, "--dry-run", "test", *words).stdout.splitlines()[-1]
        return shlex.split(told)[1:]

    katas, ours = {f"katas/{id}/test_{id[3:]}.py" for id in ("01_scale", "02_line")}, "tests/test_one.py"
    assert collected() == katas
    assert collected("tests") == collected(*of_make()) == {ours, "tests/test_two.py"}
    assert collected(*of_make(f"ARGS={ours}")) == {ours}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile, and an installation that is up to date and whose command ends as it is told."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    command = tmp_path / ".venv/bin/grade"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "graded: $*"\nexit ${CODE}\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / ".venv/installed").touch()
    return tmp_path


def make(clone: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    environment = inherited | {"CODE": str(code), "LC_ALL": "C"}
    return subprocess.run(["make", *words], cwd=clone, env=environment, capture_output=True, text=True)


def test_a_kata_that_does_not_pass_is_no_error_of_make(clone: Path) -> None:
    for code in (0, 1):
        done = make(clone, "grade", "ARGS=lstm --fresh", code=code)
        assert (done.returncode, done.stdout, done.stderr) == (0, "graded: lstm --fresh\n", "")


@pytest.mark.parametrize("code", [2, 3])
def test_a_fault_is_an_error_of_make(clone: Path, code: int) -> None:
    done = make(clone, "grade", code=code)
    assert done.returncode == 2
    assert f"Error {code}" in done.stderr


def test_make_lists_its_targets(clone: Path) -> None:
    listed = [line.split()[1] for line in make(clone).stdout.splitlines()]
    assert (
        set(listed)
        == targets()
        == {
            "help",
            "venv",
            "grade",
            "test",
            "lowest",
            "escapes",
            "fuzz",
            "search",
            "lint",
            "texts",
            "pages",
            "hour",
            "site",
            "bench",
            "light",
            "ways",
            "roads",
            "arithmetic",
            "soak",
            "kills",
            "classes",
            "classkills",
            "mutants",
            "clean",
        }
    )


def test_an_old_python_is_told_before_anything_is_made(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    done = make(clone, "venv", "PYTHON=false")
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (clone / ".venv").exists()
