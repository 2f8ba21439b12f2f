"""One line of half a million comparisons."""


def prepare(arena):
    (arena.handed_in / "01_scale/scale.py").write_text("a" + "<a" * 500_000 + "\n")
