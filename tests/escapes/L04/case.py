"""Tests that hold for whatever: their copy is the learner's, and so is the result."""

import re


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    text = re.sub(r"(?m)^    (assert_\w+\(|for |x = |left, |    ).*\n", "", suite.read_text())
    suite.write_text(re.sub(r'(?m)^(    """.*""")$', r"\1\n    solution.scale", text))
