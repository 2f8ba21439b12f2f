"""Pictures: what a suite records comes back as it was, in few bytes, bounded, whatever the learner's numbers are."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from grader.judge.pictures import Recorder
from grader.messages import text
from grader.reports import terminal
from grader.scorecard import Curve, Image, Images, Matrix, Picture, Scorecard, Shades, TestResult, Verdict

from .test_reports import golden

ODD = [1.0, math.nan, math.inf, -math.inf, 1e300, -2.0]


def recorded(method: str, *values: object, **more: object) -> Picture:
    recorder = Recorder()
    getattr(recorder, method)("a name", *values, **more)
    (picture,) = recorder.pictures
    for codec in (msgspec.json, msgspec.msgpack):  # to the store, and over the line
        assert codec.decode(codec.encode(picture), type=type(picture)) == picture
    return picture


def greys(shades: Shades) -> np.ndarray:
    levels = np.frombuffer(shades.data, np.uint8).reshape(shades.shape).astype(float)
    return np.where(levels == 255, np.nan, shades.low + levels / 254 * (shades.high - shades.low))


def test_a_curve_comes_back_with_its_baseline_and_its_ablation() -> None:
    curve = recorded("curve", torch.tensor(ODD, requires_grad=True), baseline=np.float64(0.5), ablation=[0.75, 0.25])
    assert isinstance(curve, Curve) and curve.ablation is not None
    assert curve.values.floats() == (1.0, None, None, None, None, -2.0)
    assert (curve.baseline, curve.ablation.floats()) == (0.5, (0.75, 0.25))


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_a_long_curve_is_thinned_and_keeps_both_ends(length: int) -> None:
    curve = recorded("curve", np.arange(length))
    assert isinstance(curve, Curve)
    found = curve.values.floats()
    assert (found[0], found[-1], len(found)) == (0.0, length - 1.0, min(length, 400))
    assert list(found) == sorted(set(found), key=float)


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30))
def test_grey_values_come_back_within_half_a_level(values: list[float]) -> None:
    image = recorded("image", [values])
    assert isinstance(image, Image) and image.pixels.shape == (1, len(values))
    before, after = np.array(values, float), greys(image.pixels)[0]
    before = np.where(np.isfinite(before), np.clip(before, -1e30, 1e30), np.nan)
    np.testing.assert_allclose(after, before, atol=(image.pixels.high - image.pixels.low) / 500, rtol=1e-12)


def test_images_share_one_scale_and_say_how_many_are_in_a_row() -> None:
    images = recorded("images", np.stack([np.zeros((2, 3)), np.full((2, 3), 8.0)]), columns=2)
    assert isinstance(images, Images)
    assert (images.pixels.shape, images.pixels.low, images.pixels.high, images.columns) == ((2, 2, 3), 0.0, 8.0, 2)
    assert images.pixels.data == bytes(6) + bytes([254] * 6)


def test_what_is_too_large_is_cut() -> None:
    images, matrix = recorded("images", np.zeros((70, 130, 140))), recorded("matrix", np.zeros((130, 140)), ["a", 1])
    assert isinstance(images, Images) and isinstance(matrix, Matrix)
    assert images.pixels.shape == (64, 128, 128) and matrix.values.shape == (128, 128) and matrix.labels == ("a", "1")


@pytest.mark.parametrize(
    ("method", "values"), [("curve", [[1.0]]), ("image", [1.0]), ("images", [[1.0]]), ("matrix", 1.0)]
)
def test_a_picture_of_other_dimensions_is_refused(method: str, values: object) -> None:
    with pytest.raises(ValueError, match="dimensions, expected"):
        recorded(method, values)


def test_sixty_four_images_of_digits_take_a_byte_for_a_pixel() -> None:
    pictures = recorded("images", np.random.default_rng(0).normal(size=(64, 8, 8)))
    assert len(msgspec.json.encode(pictures)) < 64 * 64 * 1.5


def with_curve(name: str, values: list[float], baseline: float | None) -> Scorecard:
    picture = recorded("curve", values, baseline=baseline)
    card = golden("all-pass")
    test = TestResult(name="t", kind="value", title="T", verdict=Verdict.PASS, pictures=(replace(picture, name=name),))
    return replace(card, katas=(replace(card.katas[0], tests=(test,)),))


@settings(deadline=None)
@given(st.text("ab c变", max_size=90), st.none() | st.just(123.4))
def test_a_curve_on_a_screen_keeps_its_ends_and_its_baseline(name: str, baseline: float | None) -> None:
    text = terminal.render(with_curve(f"x{name}", [2.25, 1e-07], baseline), width=80)
    told = f"2.25 → 1e-07{', baseline 123' * (baseline is not None)}"
    (line,) = [line for line in text.splitlines() if told in line]
    assert "█" in line and cell_len(line) <= 80


def test_a_picture_has_a_plain_name() -> None:
    """One with fields would be found in no catalogue, and on no report."""
    with pytest.raises(TypeError, match="a plain string, not Message"):
        Recorder().curve(text("loss of {part}", part="h"), [1.0, 0.5])  # type: ignore[arg-type]
