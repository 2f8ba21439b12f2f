"""Where a course is found, and which katas a name means."""

from pathlib import Path

import pytest

from grader.course import Course, find, locate
from grader.errors import UsageFault

TEMPLATE = Path(__file__).with_name("kata.template.toml").read_text(encoding="utf-8")


def add(root: Path, id: str, aliases: str = "[]") -> None:
    number, _, slug = id.partition("_")
    folder = root / "katas" / id
    folder.mkdir(parents=True)
    text = TEMPLATE.replace('"04_lstm"', f'"{id}"').replace("number = 4", f"number = {int(number)}")
    (folder / "kata.toml").write_text(text.replace("aliases = []", f"aliases = {aliases}"), encoding="utf-8")
    (folder / f"test_{slug}.py").touch()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    for id in ("20_gpt2", "04_lstm", "01_mlp"):
        add(tmp_path, id, '["04_lstm_cell", "recurrent"]' if id == "04_lstm" else "[]")
    return find(tmp_path)


def test_a_course_is_found_from_any_folder_in_it(course: Course) -> None:
    assert find(course.root / "katas/04_lstm") == course
    assert [kata.id for kata in course.katas] == ["01_mlp", "04_lstm", "20_gpt2"]


def test_the_nearest_course_wins(course: Course) -> None:
    inner = course.root / "inner"
    add(inner, "02_cnn")
    assert locate(inner / "katas") == inner
    assert locate(inner, explicit=course.root) == course.root


def test_outside_a_course_the_next_step_is_told(tmp_path: Path) -> None:
    (tmp_path / "katas/notes").mkdir(parents=True)
    with pytest.raises(UsageFault, match="not in a course") as caught:
        find(tmp_path)
    assert caught.value.exit_code == 2
    assert "--course DIR" in str(caught.value.next_step)


def test_a_named_course_is_taken_at_its_word(course: Course) -> None:
    with pytest.raises(UsageFault, match="is not a course"):
        find(course.root, explicit=course.root / "katas")


def test_a_folder_without_a_manifest_is_no_kata(course: Course) -> None:
    (course.root / "katas/99_left_over").mkdir()
    assert len(find(course.root).katas) == 3


@pytest.mark.parametrize(
    "name",
    ["04_lstm", "lstm", "LSTM", "4", "04", "004", "recurrent", "04_lstm_cell", "katas/04_lstm/", "04_lstm/lstm.py"],
)
def test_a_kata_has_many_names(course: Course, name: str) -> None:
    assert [kata.id for kata in course.select([name])] == ["04_lstm"]


def test_a_selection_is_in_course_order_without_repeats(course: Course) -> None:
    assert [kata.id for kata in course.select(["20", "mlp", "gpt2"])] == ["01_mlp", "20_gpt2"]
    assert course.select() == course.katas


@pytest.mark.parametrize("name", ["5", "", "0", ".", "4.5", "9" * 5000, "\x00", "²"])
def test_what_names_no_kata_is_refused(course: Course, name: str) -> None:
    with pytest.raises(UsageFault, match="there is no kata"):
        course.select([name])


def test_all_unknown_names_are_told_at_once_with_what_was_meant(course: Course) -> None:
    with pytest.raises(UsageFault) as caught:
        course.select(["lstn", "mlp", "qqq"])
    assert str(caught.value) == "there is no kata 'lstn': did you mean lstm?\nthere is no kata 'qqq'"
    assert str(caught.value.next_step) == "the katas are 01_mlp, 04_lstm, 20_gpt2"


def test_a_long_list_of_katas_is_not_poured_out(tmp_path: Path) -> None:
    for number in range(10, 30):
        add(tmp_path, f"{number}_kata_{number}")
    with pytest.raises(UsageFault) as caught:
        find(tmp_path).select(["nothing"])
    assert str(caught.value.next_step) == f"20 katas stand in {tmp_path / 'katas'}"


def test_the_reference_stands_beside_the_katas(course: Course) -> None:
    assert course.reference(course.katas[1]) == course.root / "reference/04_lstm/lstm.py"
