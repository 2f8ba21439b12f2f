"""A suite that keeps an answer while it asks for the next."""

OLD = "    assert_shape(solution.scale(rng.normal(size=(2, 3)), 2.0), (2, 3), dtype=np.float64)\n"
NEW = """    x, y = rng.normal(size=3), rng.normal(size=3)
    first, second = solution.scale(x, 2.0), solution.scale(y, 3.0)
    assert_close(first, 2 * x)
    assert_close(second, 3 * y)
"""


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    text = suite.read_text()
    assert OLD in text
    suite.write_text(text.replace(OLD, NEW))
