"""Modules of famous names in the folder of the submission."""


def prepare(arena):
    for folder in (arena.handed_in, arena.handed_in / "01_scale"):
        for name in ("torch", "numpy", "typing", "pytest", "struct", "json", "decimal"):
            (folder / f"{name}.py").write_text("print('SHADOWED')\nraise SystemExit(0)\n")
