"""Manifests: what is read from a good one, and how each fault of a bad one is told."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from grader import schema as complaints
from grader.errors import CourseFault
from grader.kata import SCHEMA, Data, Hint, load
from grader.settings import load as settings_of
from grader.workerkinds import KINDS

TEMPLATE = Path(__file__).with_name("kata.template.toml").read_text(encoding="utf-8")


def add(root: Path, id: str = "04_lstm", *edits: tuple[str, str]) -> Path:
    """A kata's folder with its suite and the template manifest, edited."""
    number, _, slug = id.partition("_")
    text = TEMPLATE.replace('"04_lstm"', f'"{id}"').replace("number = 4", f"number = {int(number)}")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    folder = root / "katas" / id
    folder.mkdir(parents=True)
    (folder / "kata.toml").write_text(text, encoding="utf-8")
    (folder / f"test_{slug}.py").touch()
    (root / "course.toml").write_text('format_version = 1\nlanguages = ["en", "zh"]\n', encoding="utf-8")
    return folder


def faults(root: Path) -> list[str]:
    with pytest.raises(CourseFault) as caught:
        load(root)
    assert caught.value.exit_code == 2
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


def test_a_good_manifest_is_read_whole(tmp_path: Path) -> None:
    folder = add(tmp_path)
    (kata,) = load(tmp_path)
    assert (kata.id, kata.slug, kata.number, kata.title_zh) == ("04_lstm", "lstm", 4, "从零实现 LSTM")
    assert (kata.stub, kata.suite) == (folder / "lstm.py", folder / "test_lstm.py")
    assert kata.points == {"shape": 1.0, "value": 3.0, "gradient": 3.5}
    assert (kata.seconds, kata.memory_mb, kata.tests) == (10.0, 1024, 9)
    assert kata.entry_points == ("lstm_step", "LSTMClassifier")
    assert (kata.forbidden_operators, kata.forbidden_imports) == (("aten::lstm", "aten::lstm_cell"), ("sklearn",))
    assert kata.forbidden_jobs == ("recurrent",)
    assert kata.hints[2] == Hint("nearly there", "三")
    assert kata.data == (Data("digits", "UCI, shipped with scikit-learn", "BSD-3-Clause"),)
    assert kata.hidden is None
    assert kata in {kata}


def test_a_missing_stub_is_no_fault_of_the_course(tmp_path: Path) -> None:
    add(tmp_path)
    assert not load(tmp_path)[0].stub.exists()


def test_a_hidden_suite_is_found_beside_the_reference(tmp_path: Path) -> None:
    add(tmp_path)
    hidden = tmp_path / "reference/04_lstm/test_hidden.py"
    hidden.parent.mkdir(parents=True)
    hidden.touch()
    assert load(tmp_path)[0].hidden == hidden


def test_what_is_optional_may_be_left_out(tmp_path: Path) -> None:
    text = re.sub(r"requires.*\n|aliases.*\n|\[forbidden\]\n.*\n.*\n.*\n", "", TEMPLATE).partition("[[data]]")[0]
    (add(tmp_path) / "kata.toml").write_text(text, encoding="utf-8")
    (kata,) = load(tmp_path)
    assert (kata.requires, kata.aliases, kata.forbidden_operators, kata.data) == ((), (), (), ())
    assert kata.forbidden_jobs == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("gradient = 3.5", "gradient = -2", "points.gradient must be >= 0, found -2"),
        ("gradient = 3.5", "gradient = nan", 'points.gradient must be a number, found "nan"'),
        ("gradient = 3.5", "gradients = 3", "points.gradients is not a known field; did you mean gradient?"),
        ("difficulty = 3", "difficulty = 6", "difficulty must be <= 5, found 6"),
        ("difficulty = 3", "difficulty = true", "difficulty must be a whole number, found true"),
        ("minutes = 60", "minutes = 60\ncolour = 1", "colour is not a known field"),
        ("seconds = 10.0", "seconds = 0", "limits.seconds must be > 0, found 0"),
        ("seconds = 10.0", "seconds = inf", 'limits.seconds must be a number, found "inf"'),
        ("seconds = 10.0\n", "", "limits.seconds is missing"),
        ("minutes = 60\n", "", "minutes is missing"),
        ("minutes = 60", "minutes = 2026-01-01", 'minutes must be a whole number, found "2026-01-01"'),
        ('"sequences"', '""', 'track must not be empty, found ""'),
        ("tests = 9\n", "", "tests is missing; `grade stub` fills it in"),
        ('"torch"', "3", "worker must be one of numpy, torch, sklearn, found 3"),
        ('"aten::lstm"', '"aten.lstm"', 'forbidden.operators[0] must look like aten::lstm, found "aten.lstm"'),
        ('"aten::lstm_cell"', '"aten::lstm"', 'forbidden.operators must not say the same twice, '
         'found ["aten::lstm", "aten::lstm"]'),
        ('["lstm_step", "LSTMClassifier"]', "[]", "entry_points must hold at least 1, found 0"),
        ('\n[[hints]]\nen = "nudge"\nzh = "一"\n', "", "hints must hold at least 3, found 2"),
        ('en = "nudge"', 'en = ""', 'hints[0].en must not be empty, found ""'),
        ('zh = "二"\n', "", "hints[1].zh is missing"),
        ('title_zh = "从零实现 LSTM"\n', "", "title_zh is missing"),
        ('blurb = "A cell', 'blurb = 7 #', "blurb must be text, found 7"),
        ("shape = 1\nvalue = 3\ngradient = 3.5", "", "points must not be empty, found {}"),
        ("shape = 1\nvalue = 3\ngradient = 3.5", "shape = 0", "points must not all be 0"),
        ("format_version = 1", "format_version = 0", "format_version must be 1, found 0; this grader does not know so old a format"),
        ("number = 4", "number = 5", "number must be the number that 04_lstm begins with, found 5"),
        ("requires = []", 'requires = ["01_mpl"]', "requires must name katas of this course, found 01_mpl"),
        ("requires = []", 'requires = ["04_lst"]', "requires must name katas of this course, found 04_lst; "
         "did you mean 04_lstm?"),
        ("requires = []", 'requires = ["04_lstm"]', "requires must not go in a circle, found 04_lstm -> 04_lstm"),
    ],
)  # fmt: skip
def test_a_fault_names_file_key_wanted_and_found(tmp_path: Path, old: str, new: str, told: str) -> None:
    add(tmp_path, "04_lstm", (old, new))
    assert faults(tmp_path) == [f"katas/04_lstm/kata.toml: {told}"]


def test_every_fault_of_every_manifest_is_told_at_once(tmp_path: Path) -> None:
    add(tmp_path, "01_mlp", ("minutes = 60", "minute = 60"), ("value = 3", 'value = "three"'))
    add(tmp_path, "02_cnn", ('worker = "torch"', 'worker = "cuda"'))
    add(tmp_path, "04_lstm", ("number = 4", "number = 3"), ("requires = []", 'requires = ["01_mlp", "09_ocr"]'))
    assert faults(tmp_path) == [
        "katas/01_mlp/kata.toml: minute is not a known field; did you mean minutes?",
        "katas/01_mlp/kata.toml: minutes is missing",
        'katas/01_mlp/kata.toml: points.value must be a number, found "three"',
        'katas/02_cnn/kata.toml: worker must be one of numpy, torch, sklearn, found "cuda"',
        "katas/04_lstm/kata.toml: number must be the number that 04_lstm begins with, found 3",
        "katas/04_lstm/kata.toml: requires must name katas of this course, found 09_ocr",
    ]


def test_a_newer_format_is_the_only_fault_told_of_its_file(tmp_path: Path) -> None:
    add(tmp_path, "04_lstm", ("format_version = 1", "format_version = 2"), ("minutes = 60", "duration = 60"))
    help = "made for a newer grader: upgrade gradkata"
    assert faults(tmp_path) == [f"katas/04_lstm/kata.toml: format_version must be 1, found 2; {help}"]


def test_an_id_is_the_folders_name(tmp_path: Path) -> None:
    folder = add(tmp_path)
    folder.rename(folder.with_name("04_gru"))
    assert "katas/04_gru/kata.toml: id must be the folder's name, found 04_lstm" in faults(tmp_path)


def test_a_suite_must_exist(tmp_path: Path) -> None:
    (add(tmp_path) / "test_lstm.py").unlink()
    told = "katas/04_lstm/kata.toml: id must have its suite beside it; test_lstm.py is missing"
    assert faults(tmp_path) == [told]


def test_numbers_slugs_and_aliases_are_unique(tmp_path: Path) -> None:
    add(tmp_path, "01_mlp", ("aliases = []", 'aliases = ["xor"]'))
    add(tmp_path, "01_net", ("aliases = []", 'aliases = ["xor", "mlp"]'))
    add(tmp_path, "02_mlp")
    first = "katas/01_mlp/kata.toml has it too"
    assert faults(tmp_path) == [
        f"katas/01_net/kata.toml: number must be unique, found 1; {first}",
        f"katas/01_net/kata.toml: aliases must be unique, found xor; {first}",
        f"katas/01_net/kata.toml: aliases must be unique, found mlp; {first}",
        f"katas/02_mlp/kata.toml: id must be unique, found mlp; {first}",
    ]


def test_every_circle_of_requirements_is_named(tmp_path: Path) -> None:
    for id, required in [("01_a", "02_b"), ("02_b", "03_c"), ("03_c", "01_a"), ("04_d", "05_e"), ("05_e", "04_d")]:
        add(tmp_path, id, ("requires = []", f'requires = ["{required}"]'))
    first, second = faults(tmp_path)
    walk = re.fullmatch(r"katas/(\w+)/kata.toml: requires must not go in a circle, found (.*)", first)
    assert walk
    names = walk[2].split(" -> ")
    assert names[0] == names[-1]
    assert " ".join(names) in "01_a 02_b 03_c 01_a 02_b 03_c"
    assert "04_d -> 05_e" in second


def test_a_required_kata_with_faults_of_its_own_is_still_known(tmp_path: Path) -> None:
    add(tmp_path, "01_mlp", ("minutes = 60\n", ""))
    add(tmp_path, "04_lstm", ("requires = []", 'requires = ["01_mlp"]'))
    assert faults(tmp_path) == ["katas/01_mlp/kata.toml: minutes is missing"]


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = add(tmp_path) / "kata.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(tmp_path)[0].id == "04_lstm"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("tests = 9", "tests = = 9", "line 14"),
        ("tests = 9", "tests", "line 14"),
        ('title = "LSTM', "title = LSTM", "line 4"),
        ('licence = "BSD-3-Clause"', "licence = [1,", "line 46"),
    ],
)
def test_broken_toml_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    add(tmp_path, "04_lstm", (old, new))
    (told,) = faults(tmp_path)
    assert re.match(rf"katas/04_lstm/kata.toml: is not valid TOML: .*\b{line}\b", told)


@pytest.mark.parametrize("content", [b"title = '\xff'", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000])
def test_what_cannot_be_decoded_or_parsed_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (add(tmp_path) / "kata.toml").write_bytes(content)
    assert faults(tmp_path)[0].startswith("katas/04_lstm/kata.toml: is not valid TOML: ")


def test_a_manifest_that_is_a_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "katas/04_lstm/kata.toml").mkdir(parents=True)
    assert faults(tmp_path) == ["katas/04_lstm/kata.toml: cannot be read: Is a directory"]


def test_the_schema_is_asked_once_for_each_content(tmp_path: Path) -> None:
    path = add(tmp_path) / "kata.toml"
    (tmp_path / "course.toml").unlink()
    good: set[str] = set()
    asked: list[str] = []

    def known_good(digest: str) -> bool:
        asked.append(digest)
        return digest in good

    for _ in range(2):
        load(tmp_path, known_good=known_good, on_good=good.add)
    assert asked[0] == asked[1] and good == {asked[0]}
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    load(tmp_path, known_good=known_good, on_good=good.add)
    assert len(good) == 2
    path.write_text(path.read_text(encoding="utf-8").replace("tests = 9", "tests = 0"), encoding="utf-8")
    with pytest.raises(CourseFault):
        load(tmp_path, known_good=known_good, on_good=good.add)
    assert len(good) == 2


def test_known_good_manifests_are_read_without_jsonschema(tmp_path: Path) -> None:
    add(tmp_path)
    program = (
        "import sys; from pathlib import Path; from grader.course import find;"
        f"find(Path({str(tmp_path)!r}), known_good=lambda digest: True);"
        "sys.exit(bool({'jsonschema', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent.parent).returncode == 0


def test_the_schema_is_sound_and_every_rule_in_it_has_its_words() -> None:
    schema = json.loads(SCHEMA.read_bytes())
    Draft202012Validator.check_schema(schema)
    words = {"required", "additionalProperties", "type", "enum", "pattern", "minItems", "maxItems", *complaints._WANTED}
    notes = {"$schema", "$id", "$ref", "$defs", "title", "description", "examples", "items", "properties"}

    def check(rule: dict[str, Any]) -> None:
        assert rule.keys() <= words | notes
        assert "pattern" not in rule or re.search(rule["pattern"], rule["examples"][0])
        for name in ("properties", "$defs"):
            for inner in rule.get(name, {}).values():
                check(inner)
        if "items" in rule:
            check(rule["items"])

    check(schema)
    assert all("description" in rule for rule in schema["properties"].values())


IN_CHINESE = re.compile(r"^(?:\w+_)?zh = .*\n", re.MULTILINE)


@pytest.mark.parametrize("settings", [None, 'format_version = 1\nlanguages = ["en"]\n'])
def test_a_course_in_english_needs_no_chinese(tmp_path: Path, settings: str | None) -> None:
    manifest = add(tmp_path) / "kata.toml"
    manifest.write_text(IN_CHINESE.sub("", manifest.read_text(encoding="utf-8")), encoding="utf-8")
    (tmp_path / "course.toml").unlink()
    if settings is not None:
        (tmp_path / "course.toml").write_text(settings, encoding="utf-8")
    assert settings_of(tmp_path).languages == ("en",)
    (kata,) = load(tmp_path)
    assert (kata.title_zh, kata.blurb_zh, kata.hints[0].zh) == ("", "", "")
    assert kata.title_in("zh") == kata.title


def test_a_course_in_chinese_is_told_all_that_is_missing(tmp_path: Path) -> None:
    manifest = add(tmp_path) / "kata.toml"
    manifest.write_text(IN_CHINESE.sub("", manifest.read_text(encoding="utf-8")), encoding="utf-8")
    missing = ["title_zh", "blurb_zh", "hints[0].zh", "hints[1].zh", "hints[2].zh"]
    assert faults(tmp_path) == [f"katas/04_lstm/kata.toml: {name} is missing" for name in missing]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("languages = []", "languages must hold at least 1, found 0"),
        ('languages = ["zh"]', 'languages[0] must be en, found "zh"'),
        ('languages = ["en", "xx"]', 'languages[1] must be one of zh, found "xx"'),
        ('languages = ["en", "zh", "zh"]', 'languages must not say the same twice, found ["en", "zh", "zh"]'),
        ('languages = ["en"]\nfail_under = 101', "fail_under must be <= 100, found 101"),
        ('languages = ["en"]\nlanguage = "en"', "language is not a known field; did you mean languages?"),
        ("languages = ", "is not valid TOML: Invalid value (at line 2, column 13)"),
    ],
)
def test_a_fault_of_the_courses_settings_is_told_beside_those_of_its_katas(
    tmp_path: Path, settings: str, told: str
) -> None:
    add(tmp_path, "04_lstm", ("difficulty = 3", "difficulty = 9"))
    (tmp_path / "course.toml").write_text(f"format_version = 1\n{settings}\n", encoding="utf-8")
    assert faults(tmp_path) == [
        f"course.toml: {told}",
        "katas/04_lstm/kata.toml: difficulty must be <= 5, found 9",
    ]


def test_a_course_may_say_below_which_share_of_its_points_a_fork_is_red(tmp_path: Path) -> None:
    add(tmp_path)
    (tmp_path / "course.toml").write_text('format_version = 1\nlanguages = ["en"]\nfail_under = 62.5\n')
    assert settings_of(tmp_path).fail_under == 62.5


def test_settings_of_a_newer_grader_are_refused(tmp_path: Path) -> None:
    add(tmp_path)
    (tmp_path / "course.toml").write_text("format_version = 3\n", encoding="utf-8")
    assert faults(tmp_path) == [
        "course.toml: format_version must be 2, found 3; made for a newer grader: upgrade gradkata"
    ]


def test_a_manifest_may_ask_for_every_kind_of_worker_and_no_other() -> None:
    assert json.loads(SCHEMA.read_bytes())["properties"]["worker"]["enum"] == [*KINDS]
