"""Catalogues: what a source tells is found without running it, and the harness's own translations are whole and in step."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo

from grader.authoring.proving import catalogue
from grader.authoring.proving.texts import constants, told
from grader.errors import UsageFault
from grader.messages.language import DOMAIN, LOCALE, SOURCE, known

OTHERS = [code for code in known() if code != SOURCE]

# A suite, and what it tells, by how it comes to it.
SUITE = '''
SLOW = "is the loop over steps alone?"
CASES = [(1, "one row"), (2, "many rows")]
NAMES = {"h": "the hidden state", "c": "the cell state"}

def _check(got, name, help="what the state was"):
    assert_close(got, 0, name=name, help=help)

def test_title(solution, record):
    """A title of
    two lines.

    And what nobody is told."""
    _check(solution.f(), "the first answer")
    assert solution.f(), "a plain claim"
    assert_that(solution.f(), "{name} must start at zero", name=text("{part} of lstm", part="h"), help=SLOW)
    record.curve("loss on digits", [1.0])

@pytest.mark.parametrize("size, about", CASES)
def test_cases(solution, size, about):
    """Cases."""
    for key, words in NAMES.items():
        assert_shape(solution.f(size), (), name=words if key else "w_ih", help="rows first" if size else about)
    for rate, where in zip([0.0, 1.0], ["a step of nothing", "a whole step"]):
        assert_close(rate, solution.f(), name=where, unit="no text at all")

def test_options(solution):
    """Options."""
    options = {"name": "the first layer", "tol": "no text either"}
    assert_close(solution.f(), 0, **options)
    assert_close(solution.f(), 0, **dict(name="the last layer") | {"help": "which axis?"})
'''
TOLD = [
    "is the loop over steps alone?", "one row", "many rows", "the hidden state", "the cell state", "what the state was",
    "A title of two lines.", "the first answer", "a plain claim", "{name} must start at zero", "{part} of lstm",
    "loss on digits", "Cases.", "rows first", "a step of nothing", "a whole step", "Options.",
    "the first layer", "the last layer", "which axis?",
]  # fmt: skip


def test_what_a_suite_tells_is_found_whatever_stands_between_the_words_and_the_check() -> None:
    found = [each.english for each in told(SUITE, suite=True)]
    assert found == sorted(TOLD, key=found.index)
    assert len(found) == len(TOLD)


def test_the_harness_has_plurals_defaults_wordings_and_commands_and_no_titles() -> None:
    source = '''
def test_seed(name="the result", kind="no text"):
    """Not a title."""
    language.plural("{count} job", "{count} jobs", 2)
    Says("{name} is off", "index {index:at}", got="{got}")
    text("pass" if name else "fail", name="a field of it")

@click.command()
@click.option("--seed", help="The seed.")
def run():
    """Grade them.

        Indented.
    Not so.
    """
'''
    found = [(each.english, each.many) for each in told(source)]
    assert found == [
        ("the result", ""), ("{count} job", "{count} jobs"), ("{name} is off", ""), ("index {index:at}", ""), ("pass", ""),
        ("fail", ""), ("The seed.", ""), ("Grade them.\n\n    Indented.\nNot so.", ""),
    ]  # fmt: skip


def test_every_string_of_a_suite_may_have_a_translation() -> None:
    assert {"A title of two lines.", "no text at all", "w_ih"} <= constants(SUITE)
    assert "And what nobody is told." not in constants(SUITE)


def test_the_template_is_in_step_with_the_sources() -> None:
    """`make texts` brings it there."""
    assert (LOCALE / f"{DOMAIN}.pot").read_text(encoding="utf-8") == catalogue.written(catalogue.harness())


def test_there_is_chinese() -> None:
    assert "zh" in OTHERS


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_of_the_harness_is_translated_with_its_fields(language: str) -> None:
    path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    found = catalogue.read(path, language)
    assert [(message.id, why) for message, why in catalogue.faults(found)] == []
    assert catalogue.written(catalogue.in_step(found, catalogue.harness())) == path.read_text(encoding="utf-8")
    assert path.with_suffix(".mo").read_bytes() == catalogue.compiled(found)


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_compiled_is_a_catalogue_to_others(language: str) -> None:
    path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    found = read_mo(io.BytesIO(path.read_bytes()))
    assert str(found.locale) == language
    assert len(found) == len(catalogue.harness())


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ('msgid "a {b}"\nmsgstr "一个 {b}"', ""),
        ('msgid "a {b}"\nmsgstr "{b} 和 {b}"', ""),
        ('msgid "50 % of {b}"\nmsgstr "{b} 的一半"', ""),
        ('msgid "a {b}"\nmsgstr "一个"', "has the fields none, and its English has {b}"),
        ('msgid "a {b:.2f}"\nmsgstr "一个 {b}"', "has the fields {b}, and its English has {b:.2f}"),
        ('msgid "a {b}"\nmsgstr "一个 {b"', "has braces that do not close"),
        ('msgid "a"\nmsgstr ""', "has no translation"),
        ('#, fuzzy\nmsgid "a"\nmsgstr "一个"', "is fuzzy: read it over, and take the mark away"),
        ('msgid "{n} a"\nmsgid_plural "{n} as"\nmsgstr[0] "{n} 个"', ""),
        ('msgid "one a"\nmsgid_plural "{n} as"\nmsgstr[0] "几个"', "has the fields none, and its English has {n}"),
    ],
)
def test_an_entry_that_is_no_translation_is_told(tmp_path: Path, entry: str, why: str) -> None:
    path = tmp_path / "zh.po"
    path.write_text(f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n{entry}\n', encoding="utf-8")
    assert [found for _, found in catalogue.faults(catalogue.read(path, "zh"))] == [why] * bool(why)


def test_what_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zh.po"
    path.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(UsageFault, match="is no catalogue"):
        catalogue.read(path, "zh")


def test_what_is_new_is_empty_and_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "zh.po"
    path.write_text(
        '# mine\nmsgid "the second state"\nmsgstr "第二个状态"\n\nmsgid "gone"\nmsgstr "没了"\n', encoding="utf-8"
    )
    wanted = catalogue.template({"suite.py": told('text("the first state")\ntext("the second state")')})
    found = catalogue.written(catalogue.in_step(catalogue.read(path, "zh"), wanted))
    assert found.split("\n\n", 1)[1] == (
        '#: suite.py\nmsgid "the first state"\nmsgstr ""\n\n'
        '# mine\n#: suite.py\nmsgid "the second state"\nmsgstr "第二个状态"\n'
    )
