"""The suite gains an import that fails."""


def prepare(arena):
    suite = arena.course / "katas/01_scale/test_scale.py"
    suite.write_text(suite.read_text() + "\nimport no_such_module\n")
