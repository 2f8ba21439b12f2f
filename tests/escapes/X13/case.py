"""The test that would fail is gone; what is left passes."""

import re


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    text = suite.read_text()
    left = re.sub(r"@pytest.mark.value\ndef test_values.*?\n\n\n", "", text, flags=re.DOTALL)
    assert left != text
    suite.write_text(left)
