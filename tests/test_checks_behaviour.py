"""Arguments left alone and errors raised: what is unfinished never counts as a refusal."""

from __future__ import annotations

import pytest

from grader.checks import CheckFailure, assert_raises, assert_unchanged


class Custom(ValueError):
    pass


def raising(error):
    def refuse(*args, **kwargs):
        raise error

    return refuse


def test_unchanged_arguments_pass_and_changed_ones_are_named():
    assert_unchanged([])
    with pytest.raises(CheckFailure, match="in place: x of lstm_step, h of lstm"):
        assert_unchanged(["x of lstm_step", "h of lstm"])


def test_the_list_of_changes_is_the_fixture_itself():
    with pytest.raises(ValueError):
        assert_unchanged(False)


@pytest.mark.parametrize("error", [ValueError, ValueError("x must be positive"), Custom("subclass")])
def test_the_exception_or_a_subclass_passes(error):
    assert_raises(ValueError, raising(error))


def test_arguments_reach_the_function():
    assert_raises(ValueError, int, "12", base=2, match=r"base 2")


def test_no_exception_fails_and_says_what_came_back():
    with pytest.raises(CheckFailure) as caught:
        assert_raises(ValueError, int, "12")
    assert caught.value.message == "int did not raise ValueError"
    assert (caught.value.expected, caught.value.actual) == ("ValueError", "it returned a whole number")


def test_what_is_unfinished_is_no_refusal():
    """NotImplementedError is a RuntimeError, so an untouched stub would pass."""
    unfinished = NotImplementedError("f: start here")
    with pytest.raises(NotImplementedError) as caught:
        assert_raises(RuntimeError, raising(unfinished))
    assert caught.value is unfinished


@pytest.mark.parametrize("asked", [lambda: None, 3, "ValueError", Exception, BaseException])
def test_what_is_asked_for_is_one_class_of_errors(asked):
    with pytest.raises(ValueError, match=r"exception class|too wide"):
        assert_raises(asked, raising(ValueError("other")))


def test_not_implemented_counts_where_it_is_asked_for():
    assert_raises(NotImplementedError, raising(NotImplementedError("abstract")), match="abstract")


@pytest.mark.parametrize("error", [TypeError("other"), KeyError("k"), ZeroDivisionError(), KeyboardInterrupt()])
def test_other_exceptions_go_on_unchanged(error):
    with pytest.raises(type(error)) as caught:
        assert_raises(ValueError, raising(error))
    assert caught.value is error


def test_a_text_that_does_not_match_fails():
    assert_raises(ValueError, raising(ValueError("n must be >= 0, found -2")), match=r"found -\d")
    with pytest.raises(CheckFailure, match="does not say") as caught:
        assert_raises(ValueError, raising(ValueError("bad" * 200)), match="found")
    assert len(caught.value.actual) == 200
