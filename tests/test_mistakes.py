"""`mistakes.toml`: an edit that is not exact, unique and of consequence is refused, with the line of its entry."""

import json

import pytest

from grader.authoring.proving.mistakes import Excuse, Mistake, read

REFERENCE = '''"""A line."""


def line(x, slope):
    """Evaluate it."""
    scaled = slope * x
    return scaled + 1.0


def twice(x):
    return line(x, 2.0) + line(x, 2.0)
'''
GOOD = {
    "id": "bias-forgotten",
    "find": "scaled + 1.0",
    "replace": "scaled",
    "caught_by": "test_line",
    "says": "Your line goes through zero.",
    "says_zh": "你的直线经过原点。",
}

SAYS = GOOD["says"], GOOD["says_zh"]


def entry(table: str = "mistake", **fields: object) -> str:
    return "\n".join([f"[[{table}]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]) + "\n\n"


def test_a_mistake_is_the_reference_with_one_edit() -> None:
    found = read("# head\n\n" + entry(**GOOD, source="published answer 4"), "mistakes.toml", REFERENCE)
    text = REFERENCE.replace("scaled + 1.0", "scaled")
    assert found.mistakes == (Mistake("bias-forgotten", text, "test_line", 3, *SAYS),)
    assert (found.findings, found.excuses) == ((), ())


def test_what_is_wrong_with_one_entry_costs_no_other() -> None:
    text = entry(**GOOD | {"id": "a", "find": "nowhere"}) + entry(**GOOD) + entry(**GOOD | {"id": "c", "says": " "})
    found = read(text, "mistakes.toml", REFERENCE)
    assert [mistake.id for mistake in found.mistakes] == ["bias-forgotten"]
    assert [finding.line for finding in found.findings] == [1, 17]


BROKEN = {
    "matches nowhere": (
        {"find": "scaled  + 1.0"},
        "bias-forgotten: the text to find occurs 0 times in the reference: it",
    ),
    "matches twice": ({"find": "line(x, 2.0)"}, "occurs 2 times in the reference (lines 11, 11)"),
    "matches in two lines": ({"find": "return"}, "occurs 2 times in the reference (lines 7, 11)"),
    "an empty find": ({"find": ""}, "find is empty"),
    "equals the reference": ({"replace": "scaled  +  1.0"}, "the edit equals the reference: it changes nothing"),
    "a comment alone": ({"replace": "scaled + 1.0  # one"}, "the edit equals the reference"),
    "no Python": ({"replace": "scaled +"}, "the edit leaves what is not valid Python, line 7"),
    "a zero byte": ({"replace": "scaled + '\0'"}, "the edit leaves what is not valid Python"),
    "no replacement": ({"replace": None}, "replace is missing"),
    "no test": ({"caught_by": None}, "caught_by is missing"),
    "no words": ({"says": "\n"}, "says is empty"),
    "no Chinese words": ({"says_zh": None}, "says_zh is missing"),
    "a list": ({"says": ["a", "b"]}, "says must be text"),
    "an ablation in words": ({"ablation": "yes"}, "ablation must be true or false"),
    "a number for an id": ({"id": 3}, "3: id must be text"),
    "no id": ({"id": None}, "a mistake without an id: id is missing"),
    "an id with blanks": ({"id": "Bias forgotten"}, "id must be words of a-z and 0-9 with hyphens"),
    "a misspelt field": ({"cought_by": "test_line"}, "cought_by is not a known field; did you mean caught_by?"),
    "a strange field": ({"xyzzy": "a"}, "xyzzy is not a known field"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_is_refused_with_its_line(name: str) -> None:
    change, expected = BROKEN[name]
    fields = {key: value for key, value in (GOOD | change).items() if value is not None}
    found = read("# head\n" + entry(**fields), "reference/a/mistakes.toml", REFERENCE, ["zh"])
    assert found.mistakes == ()
    told = [str(finding) for finding in found.findings]
    assert any(line.startswith("reference/a/mistakes.toml:2: ") and expected in line for line in told), told


FILES = {
    "no TOML": ("\n[[mistake]\n", "mistakes.toml:2: is not valid TOML"),
    "no end": ('[[mistake]]\nid = "a', "mistakes.toml:2: is not valid TOML"),
    "another table": (entry(**GOOD) + entry("mistakes"), "mistakes.toml:1: mistakes is not a known table; did you mean mistake?"),
    "one table": (entry(**GOOD | {"find": "x y"}).replace("[[", "[").replace("]]", "]"), "occurs 0 times"),
    "no table": ("mistake = 3", "mistakes.toml:1: a mistake without an id: id is missing"),
    "the same id": (entry(**GOOD) + entry(**GOOD | {"replace": "2.0"}), "mistakes.toml:9: bias-forgotten: line 1 has the same id"),
    "the same edit": (entry(**GOOD) + entry(**GOOD | {"id": "b"}), "mistakes.toml:9: b: is the same edit as bias-forgotten on line 1"),
    "no mutant": (entry("equivalent", reason="it is"), "mistakes.toml:1: an excused mutant: mutant is missing"),
    "no reason": (entry("equivalent", mutant="a", reason=""), "mistakes.toml:1: an excused mutant: reason is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_refused_with_the_line(name: str) -> None:
    text, expected = FILES[name]
    told = [str(finding) for finding in read(text, "mistakes.toml", REFERENCE).findings]
    assert any(expected in line for line in told), told


def test_an_excuse_names_a_mutant_and_a_reason() -> None:
    found = read(entry(**GOOD) + entry("equivalent", mutant="line: a", reason="b"), "mistakes.toml", REFERENCE)
    assert found.excuses == (Excuse("line: a", "b", 9),) and found.findings == ()
