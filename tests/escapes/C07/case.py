"""A suite whose inputs are numbers that can be recognised."""

NUMBERS = [4.1231056, 5.3851648, 6.4031242, 7.6157731, 8.2462113, 9.8488578]


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    text = suite.read_text()
    assert "x = rng.normal(size=6)" in text
    suite.write_text(text.replace("x = rng.normal(size=6)", f"x = np.array({NUMBERS})"))


def check(arena, outcome):
    shown = [number for number in NUMBERS if f"{number:.4g}" in outcome.everything()]
    return [] if len(shown) <= 1 else [f"the report shows {shown}"]
