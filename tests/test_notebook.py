"""The notebook, on real kernels: cells are judged as files are, beside other commands, and a kata becomes a notebook."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.image
import nbformat
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from matplotlib import pyplot
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from grader.course import find
from grader.engine.borrowed import BorrowedLadder, borrowing, holders
from grader.engine.keeper import Keeper
from grader.errors import UsageFault
from grader.messages.language import Language
from grader.notebook import drawn, words
from grader.notebook.desk import Desk
from grader.scorecard import Curve, Image, Images, Matrix, Numbers, Picture, Shades, Verdict
from grader.session import Listener, Session
from grader.standing import State, standing
from grader.store import NOTEBOOK, Store
from grader.study import notebooks
from grader.submission import MAX_BYTES, Typed, typed

TOY = Path(__file__).parent / "toy"
GRADE = str(Path(sys.executable).with_name("grade"))
RIGHT = (TOY / "reference/01_scale/scale.py").read_text(encoding="utf-8")
LOAD = "%load_ext grader"
BORROWED = """
from grader.notebook.magic import GradeMagic
print([keeper.current.borrowed for magic in GradeMagic._of_shell.values() for keeper in magic._desk._keepers.values()])
"""


class Kernel:
    """A real kernel in a folder, and one cell after the other."""

    def __init__(self, folder: Path) -> None:
        resources = {"metadata": {"path": str(folder)}}
        self.client = NotebookClient(new_notebook(), timeout=100, allow_errors=True, resources=resources)

    def run(self, source: str) -> list[Any]:
        """The outputs of one cell."""
        self.client.nb.cells.append(new_code_cell(source))
        cell: Any = self.client.execute_cell(self.client.nb.cells[-1], len(self.client.nb.cells) - 1)
        return list(cell.outputs)

    @property
    def pid(self) -> int:
        return int(self.client.km.provisioner.process.pid)


def text(outputs: list[Any]) -> str:
    """All that a terminal would show of them."""
    return "\n".join(each.get("text") or each.get("data", {}).get("text/plain") or each.evalue for each in outputs)


def html(outputs: list[Any]) -> str:
    return "\n".join(each.data["text/html"] for each in outputs if "text/html" in each.get("data", {}))


def course_at(root: Path) -> Path:
    """The toy course, whose first kata has a statement and records a curve."""
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    kata = root / "katas/01_scale"
    suite = kata / "test_scale.py"
    marked = suite.read_text(encoding="utf-8").replace(
        '(solution, rng):\n    """Every entry is multiplied."""\n',
        '(solution, rng, record):\n    """Every entry is multiplied."""\n    record.curve("loss <b>", [1.0, 0.5])\n',
    )
    suite.write_text(marked, encoding="utf-8")
    (kata / "README.md").write_text(STATEMENT, encoding="utf-8")
    (kata / "README.zh.md").write_text("# 放大\n", encoding="utf-8")
    return root


STATEMENT = """# Scale

See [the map](../../README.md#words), [the web](https://example.org/a) and [below](#end): $`a_i`$ or $x$.

```math
y = a x
```

```python
[not](a/link)
```

## end
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return course_at(tmp_path / "course")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Kernel]]:
    """A course, and a kernel in it that has loaded the extension."""
    root = course_at(tmp_path_factory.mktemp("shared") / "course")
    with ExitStack() as stack:
        yield root, begun(stack, root)


def begun(stack: ExitStack, root: Path) -> Kernel:
    kernel = Kernel(root)
    stack.enter_context(kernel.client.setup_kernel())
    assert kernel.run(LOAD) == []
    return kernel


# Cells


def test_a_cell_is_judged_as_the_file_is_and_what_it_found_is_known(started: tuple[Path, Kernel]) -> None:
    root, kernel = started
    outputs = kernel.run(f"%%grade scale\n{RIGHT}")
    assert "✓ pass  01_scale" in text(outputs) and "\x1b" not in text(outputs)
    assert ["sandbox:" in text([each]) for each in outputs].count(True) == 1
    assert "✓ pass" in html(outputs) and "sandbox:" in text(outputs)
    assert "stored" in text(kernel.run(f"%%grade 01_scale\n{RIGHT}"))
    assert "stored" not in text(kernel.run(f"%%grade scale --fresh\n{RIGHT}"))
    course = find(root, root)
    (kata,) = course.select(["scale"])
    with closing(Store(root, print)) as store:
        assert store.attempts(kata.id)[-1].origin == NOTEBOOK
        place = standing(course, store).of(kata)
        assert "in a notebook" in grade(root, "history", "scale")
        assert place.state is State.PASSED and place.solved
    assert "raise NotImplementedError" in kata.stub.read_text(encoding="utf-8")


def test_a_folder_of_the_same_name_is_no_notebook(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(root / "reference", root / "notebook")
    monkeypatch.chdir(root)
    course = find(root, root)
    with closing(Session(course, Store(root, print))) as session:
        session.grade(course.select(["scale"]), Path("notebook"))
        assert [each.origin for each in session.store.attempts("01_scale")] == ["./notebook"]
        assert standing(course, session.store).places[0].state is State.NEW


def test_a_kata_that_passed_as_a_file_too_is_changed_with_it(root: Path) -> None:
    course = find(root, root)
    (kata,) = course.select(["scale"])
    with closing(Session(course, Store(root, print))) as session:
        session.grade([kata], typed={kata.id: Typed(RIGHT, "In[1]")})
        assert standing(course, session.store).of(kata).state is State.PASSED
        kata.stub.write_text(RIGHT, encoding="utf-8")
        session.grade([kata], fresh=True)
        assert standing(course, session.store).of(kata).state is State.PASSED
        kata.stub.write_text("# begun again\n", encoding="utf-8")
        assert standing(course, session.store).of(kata).state is State.CHANGED


def test_a_cell_gets_the_verdicts_of_the_same_file(started: tuple[Path, Kernel], tmp_path: Path) -> None:
    root, kernel = started
    wrong = RIGHT.replace("return x * factor", "return x + factor")
    outputs = kernel.run(f"%%grade scale --seed 7\n{wrong}")
    (tmp_path / "scale.py").write_text(wrong, encoding="utf-8")
    asked = [GRADE, "run", "scale", "--from", str(tmp_path), "--seed", "7", "--fresh"]
    done = subprocess.run(
        asked, cwd=root, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"}
    )
    assert done.returncode == 1 and "✗ fail  01_scale" in done.stdout

    def told(card: str) -> str:
        return card[card.index("✗ 01_scale") : card.index("self-check")]

    assert told(text(outputs)) == told(done.stdout)


def test_outside_a_course_it_says_what_to_do_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Desk(print)) as desk, pytest.raises(UsageFault, match="not in a course") as fault:
        desk.judge(words.read("lstm"), None, "In[1]", Listener())
    assert "`%cd FOLDER`" in str(fault.value.next_step)
    with closing(Desk(print)) as desk, pytest.raises(UsageFault, match="nowhere is not a course") as fault:
        desk.judge(words.read("lstm --course nowhere"), None, "In[1]", Listener())
    assert "%cd" not in str(fault.value.next_step)


@pytest.mark.parametrize("above", ["", "\n\n"], ids=["", "below empty lines"])
def test_lines_are_counted_as_the_cell_counts_them(started: tuple[Path, Kernel], above: str) -> None:
    cell = f"{above}%%grade scale\n{RIGHT.replace('return x * factor', 'return x.wrong')}"
    line = cell[: cell.index("x.wrong")].count("\n") + 1
    shown = text(started[1].run(cell))
    assert re.search(rf"In\[\d+\]:{line}\n    > return x\.wrong", shown), shown


def test_what_a_cell_prints_is_escaped(started: tuple[Path, Kernel]) -> None:
    body = RIGHT.replace("return x * factor", "print('<script>alert(1)</script>')\n    return x")
    shown = html(started[1].run(f"%%grade scale\n{body}"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and "<script" not in shown


def test_what_the_tests_record_is_seen_under_its_name(started: tuple[Path, Kernel]) -> None:
    outputs = started[1].run(f"%%grade scale\n{RIGHT}")
    pictures = [each for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == 1 and pictures[0].data["text/plain"] == "01_scale: loss <b>"
    assert "01_scale: loss &lt;b&gt;" in html(outputs) and "<b>" not in html(outputs).replace("<b>", "", 0)


def test_a_cell_is_defined_in_the_kernel_only_where_that_is_asked_for(started: tuple[Path, Kernel]) -> None:
    kernel = started[1]
    kernel.run(f"%%grade scale\n{RIGHT}")
    assert "NameError" in [each.get("ename") for each in kernel.run("scale(2.0, 3.0)")]
    kernel.run(f"%%grade scale --define\n{RIGHT}")
    assert text(kernel.run("scale(2.0, 3.0)")) == "6.0"


def test_it_speaks_the_language_that_is_asked_for(started: tuple[Path, Kernel]) -> None:
    shown = text(started[1].run(f"%%grade scale --lang zh\n{RIGHT}"))
    assert "✓ 通过" in shown and "放大" in shown


def test_tests_can_be_chosen_and_all_that_fail_be_shown(started: tuple[Path, Kernel]) -> None:
    kernel, wrong = started[1], RIGHT.replace("return x * factor", "return x + factor")
    assert "Every entry is multiplied" not in text(kernel.run(f"%%grade scale -k pure\n{wrong}"))
    few, more = (text(kernel.run(f"%%grade scale {option}\n{wrong}")) for option in ("", "--all"))
    assert "The input stays as it was (" not in few and "The input stays as it was (" in more


def test_a_line_judges_the_files_of_the_course(started: tuple[Path, Kernel]) -> None:
    assert "○ to do  01_scale" in text(started[1].run("%grade scale"))


def test_what_cannot_be_meant_is_said_in_a_line(started: tuple[Path, Kernel]) -> None:
    kernel = started[1]
    for line, said in {
        "%%grade scal": "there is no kata 'scal': did you mean scale?",
        "%%grade": "a cell is the file of one kata, and 0 are named",
        "%%grade scale line": "a cell is the file of one kata, and 2 are named",
        "%%grade scale --frehs": "there is no option --frehs",
        "%%grade scale --lang xx": "there is no language 'xx'",
        "%%grade scale --course /": "/ is not a course",
    }.items():
        (output,) = kernel.run(f"{line}\nx = 1")
        assert said in text([output]) and "Traceback" not in text([output]), line
        assert kernel.client.nb.cells[-1].execution_count


def test_empty_and_unreadable_cells_are_the_learners_error(started: tuple[Path, Kernel]) -> None:
    assert "is empty" in text(started[1].run("%%grade scale\n\n"))
    assert "✗ error" in text(started[1].run("%%grade scale\ndef scale(:\n"))


def test_what_is_typed_is_held_to_what_a_file_is(root: Path) -> None:
    kata = find(root, root).katas[0]
    assert typed(kata, Typed("x = 1", "In[1]")).text == "x = 1"
    for given, said in {
        "": "is empty",
        "\0": "NUL byte",
        "\ud800": "not UTF-8",
        "#" * (MAX_BYTES + 1): "1 MiB",
    }.items():
        problem = typed(kata, Typed(given, "In[1]")).problem
        assert problem is not None and said in problem.message and problem.message.startswith("In[1]")


# Kernels


def test_a_kernel_shares_its_ladder_and_another_one_uses_it_and_both_end_in_order(root: Path) -> None:
    with ExitStack() as stack:
        first = begun(stack, root)
        assert "✓ pass" in text(first.run(f"%%grade scale\n{RIGHT}"))
        assert [(each.by, each.pid, each.lends) for each in holders(root)] == [("%%grade", first.pid, True)]
        second = begun(stack, root)
        assert "✓ pass" in text(second.run(f"%%grade scale --fresh\n{RIGHT}"))
        assert [text(kernel.run(BORROWED)).strip() for kernel in (first, second)] == ["[False]", "[True]"]
        course = find(root, root)
        session = Session(course, Store(root, print), keeper=Keeper(borrow=borrowing(root)))
        (result,) = session.grade(course.select(["scale"]), root / "reference", fresh=True).katas
        assert result.verdict is Verdict.PASS and isinstance(session.keeper.current, BorrowedLadder)
        session.close()
    assert os.listdir(root / ".grade/warm") == []
    while standing_in(root):  # the kernel ends them in its own time, which the test's deadline bounds
        pass


def standing_in(root: Path) -> list[int]:
    """Processes whose folder is the course."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(folder / "cwd") == str(root):
                found.append(int(folder.name))
    return found


def test_an_interrupt_stops_the_run_keeps_what_was_decided_and_leaves_no_judge(root: Path) -> None:
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("seconds = 2.0", "seconds = 600.0"))
    endless = RIGHT.replace(
        "    return x * factor", "    while x.shape != (2, 3):\n        pass\n    return x * factor"
    )
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(root))

    def shown(source: str, meanwhile: Callable[[str], None] = lambda seen: None) -> tuple[str, list[str]]:
        """All that was ever to be seen under a cell, and the names of its errors."""
        request, seen, errors = client.execute(source), "", []
        while True:
            message = client.get_iopub_msg(timeout=100)
            content = message["content"]
            seen += content.get("data", {}).get("text/plain", "")
            errors += [content["ename"]] if "ename" in content else []
            if content.get("execution_state") == "idle" and message["parent_header"]["msg_id"] == request:
                return seen, errors
            meanwhile(seen)

    interrupted: list[str] = []

    def interrupt(seen: str) -> None:
        if "1 of 4 tests" in seen and not interrupted:
            interrupted.append(seen)
            manager.interrupt_kernel()

    try:
        assert "○ to do" in shown(f"{LOAD}\n%grade scale")[0]
        before = set(standing_in(root))
        seen, errors = shown(f"%%grade scale\n{endless}", interrupt)
        assert errors == ["KeyboardInterrupt"] and "stopped early" in seen and "1/1" in seen
        while set(standing_in(root)) - before:  # judges stand in the course
            pass
        seen, errors = shown(f"%%grade scale\n{RIGHT}")
        assert errors == [] and "✓ pass" in seen
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def test_the_extension_can_be_loaded_anew_and_taken_away(root: Path) -> None:
    with ExitStack() as stack:
        kernel = begun(stack, root)
        kernel.run("%grade scale")
        assert len(holders(root)) == 1
        assert kernel.run("%reload_ext grader") == [] and holders(root) == []
        assert "○ to do" in text(kernel.run("%grade scale"))
        assert kernel.run("%unload_ext grader") == [] and holders(root) == []
        assert "not found" in text(kernel.run("%grade scale"))


def test_the_extension_costs_an_import_of_the_package_nothing() -> None:
    program = "import sys; before = set(sys.modules); import grader; print(sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['grader']"


# What is asked for


def test_options_are_read_as_the_command_reads_them() -> None:
    asked = words.read("lstm --seed=3 --lang zh -j 2 --fresh --course 'a b'")
    assert (asked.katas, asked.seed, asked.language, asked.jobs) == (("lstm",), 3, Language("zh"), 2)
    assert (asked.fresh, asked.define, asked.course) == (True, False, Path("a b"))
    for line in ("'", "--seed", "--seed x", "--seed -1", "--jobs 0", "--fresh=1", "-k", "--all=1"):
        with pytest.raises(UsageFault):
            words.read(line)


def test_help_says_how_it_goes_and_judges_nothing(started: tuple[Path, Kernel]) -> None:
    for asked in ("--help", "-h"):
        told = "".join(each["text"] for each in started[1].run(f"%grade {asked}"))
        assert told.startswith("Judge the cell") and "\n%grade [KATA...] [--all]" in told
    (told,) = started[1].run(f"%%grade scale --help --lang zh\n{RIGHT}")
    assert told["text"].startswith("把单元格当作")


# Pictures


def numbers(values: object) -> Numbers:
    array = np.asarray(values, "<f4")
    return Numbers(array.shape, array.tobytes())


def shades(*shape: int, level: int = 100) -> Shades:
    return Shades(shape, bytes([level]) * math.prod(shape), 0.0, 1.0)


PICTURES: dict[str, Picture] = {
    "a curve": Curve("loss", numbers([1.0, math.nan, 0.5]), 0.7, numbers([1.0, 0.9])),
    "an empty curve": Curve("loss", numbers([])),
    "an image": Image("digit", shades(2, 2)),
    "an image of nothing finite": Image("digit", shades(2, 2, level=255)),
    "images": Images("digits", shades(9, 1, 2)),
    "images in a row": Images("digits", shades(3, 2, 2), 3),
    "no images": Images("digits", shades(0, 2, 2)),
    "a matrix": Matrix("confusion", numbers([[1.0, 0.0], [0.25, math.nan]]), ("$a", "b_{")),
    "a matrix without numbers": Matrix("confusion", numbers([[math.nan]])),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_becomes_an_image_and_pyplot_is_as_it_was(name: str) -> None:
    before = (pyplot.get_fignums(), dict(matplotlib.rcParams), matplotlib.get_backend())
    picture = drawn.png(PICTURES[name])  # type: ignore[arg-type]
    assert (pyplot.get_fignums(), dict(matplotlib.rcParams), matplotlib.get_backend()) == before
    pixels = matplotlib.image.imread(io.BytesIO(picture))
    assert pixels.ndim == 3 and min(pixels.shape[:2]) > 20


def test_a_curve_is_higher_where_its_values_are() -> None:
    def dark(values: tuple[float, ...]) -> float:
        """The mean height of what is blue, as the line is."""
        pixels = matplotlib.image.imread(io.BytesIO(drawn.png(Curve("loss", numbers(values)))))
        rows, columns = np.nonzero(pixels[..., 2] > pixels[..., 0] + 0.3)
        return float(np.corrcoef(rows, columns)[0, 1])

    assert dark((0.0, 1.0)) < -0.9 and dark((1.0, 0.0)) > 0.9


# `grade notebook`


def grade(root: Path, *args: str, code: int = 0) -> str:
    run = subprocess.run([GRADE, *args], cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_a_kata_becomes_a_notebook_that_runs(root: Path) -> None:
    assert "scale.ipynb" in grade(root, "notebook", "scale")
    found = nbformat.read(root / "scale.ipynb", as_version=4)
    nbformat.validate(found)
    assert found.cells[-1].source == "%%grade scale\n" + (root / "katas/01_scale/scale.py").read_text().rstrip("\n")
    client = NotebookClient(found, timeout=100, resources={"metadata": {"path": str(root)}})
    client.execute()
    assert "○ to do  01_scale" in text(found.cells[-1].outputs)


def test_links_lead_where_they_led_and_formulae_are_kept(root: Path) -> None:
    grade(root, "notebook", "scale", "-o", "katas/scale.ipynb")
    page = nbformat.read(root / "katas/scale.ipynb", as_version=4).cells[0].source
    assert "[the map](../README.md#words), [the web](https://example.org/a) and [below](#end): $a_i$ or $x$" in page
    assert "$$\ny = a x\n$$" in page and "```python\n[not](a/link)\n```" in page


def test_a_notebook_is_never_written_over(root: Path, tmp_path: Path) -> None:
    mine = root / "scale.ipynb"
    mine.write_text("mine", encoding="utf-8")
    assert "is there already, and may hold your work" in grade(root, "notebook", "scale", code=2)
    assert mine.read_text(encoding="utf-8") == "mine"
    mine.unlink()
    mine.symlink_to(tmp_path / "elsewhere")
    assert "is there already" in grade(root, "notebook", "scale", code=2)
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_or_a_folder_can_be_given(root: Path, tmp_path: Path) -> None:
    grade(root, "notebook", "scale", "-o", str(tmp_path))
    cell = nbformat.read(tmp_path / "scale.ipynb", as_version=4).cells[-1].source
    assert cell.startswith(f"%%grade scale --course {root}\n")  # since it stands outside
    assert "is no name of a notebook" in grade(root, "notebook", "scale", "-o", "scale.py", code=2)
    assert "cannot write" in grade(root, "notebook", "scale", "-o", "no/where.ipynb", code=2)
    assert "there is no kata" in grade(root, "notebook", "nothing", code=2)
    assert "has no statement" in grade(root, "notebook", "line", code=2)


def test_it_is_made_in_chinese_too(root: Path) -> None:
    assert "scale.ipynb" in grade(root, "notebook", "scale", "--lang", "zh")
    cells = nbformat.read(root / "scale.ipynb", as_version=4).cells
    assert cells[0].source == "# 放大" and "单元格" in cells[1].source
    assert cells[-1].source.startswith("%%grade scale --lang zh\n")


def test_a_release_has_every_kata_as_a_notebook_too(root: Path, tmp_path: Path) -> None:
    """In each language with a statement; it judges where it stands, and what a learner wrote into it stays."""
    out = tmp_path / "out"
    assert "2 of" not in grade(root, "release", str(out), "--katas", "scale")
    assert not [*out.rglob("*.ipynb")]
    grade(root, "release", str(out), "--katas", "scale", "--notebooks")
    mine, chinese = out / "katas/01_scale/scale.ipynb", out / "katas/01_scale/scale.zh.ipynb"
    found = nbformat.read(mine, as_version=4)
    stub = (out / "katas/01_scale/scale.py").read_text(encoding="utf-8").rstrip("\n")
    assert found.cells[-1].source == f"%%grade scale\n{stub}"
    assert nbformat.read(chinese, as_version=4).cells[-1].source == f"%%grade scale --lang zh\n{stub}"
    client = NotebookClient(found, timeout=100, resources={"metadata": {"path": str(mine.parent)}})
    client.execute()
    assert "○ to do  01_scale" in text(found.cells[-1].outputs)
    needed = tomllib.loads((out / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert any(each.startswith("ipykernel") for each in needed)
    mine.write_text("my work", encoding="utf-8")
    (root / "katas/01_scale/README.md").write_text("# Another\n", encoding="utf-8")
    said = grade(root, "release", str(out), "--katas", "scale", "--notebooks")
    assert "katas/01_scale/scale.ipynb is yours and stays; the stub has changed: see scale.new.ipynb" in said
    assert mine.read_text(encoding="utf-8") == "my work"
    assert nbformat.read(mine.with_name("scale.new.ipynb"), as_version=4).cells[0].source == "# Another"


def test_a_notebook_is_the_same_each_time(root: Path) -> None:
    course = find(root, root)
    one, other = (notebooks.made(course.katas[0], root, Language(), "x = 1") for _ in range(2))
    assert one == other
