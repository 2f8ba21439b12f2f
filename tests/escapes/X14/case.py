"""Functions that pytest does not collect."""


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    suite.write_text(suite.read_text().replace("def test_", "def was_test_"))
