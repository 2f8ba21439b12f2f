"""What a student may call a folder."""


def prepare(arena):
    named = arena.root / ("-rf \n✓ pass  01_scale  4 of 4 '\"$(id)`\x1b[2J\u202e" + "n" * 150)
    arena.handed_in.rename(named)
    arena.handed_in = named
