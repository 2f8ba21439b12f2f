"""Reports that say pass, read-only, before the run."""


def prepare(arena):
    reports = arena.root / "out"
    reports.mkdir()
    for name in ("card.json", "card.xml"):
        (reports / name).write_text('{"katas": [{"id": "01_scale", "verdict": "pass"}]}')
        (reports / name).chmod(0o444)
