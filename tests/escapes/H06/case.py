"""What a hostile pull request would change; `--from` takes the declared stub and nothing else."""

FILES = {
    "katas/01_scale/kata.toml": "tests = 0\n",
    "katas/01_scale/test_scale.py": "def test_shape(): pass\n",
    "01_scale/test_scale.py": "def test_shape(): pass\n",
    "01_scale/test_hidden.py": "def test_shape(): pass\n",
    "01_scale/kata.toml": "tests = 0\n",
    "reference/01_scale/scale.py": "raise SystemExit\n",
    "grader/__init__.py": "print('SHADOWED')\n",
    "grader/cli/__init__.py": "print('SHADOWED')\n",
    ".github/workflows/grade.yml": "on: push\n",
    "scale.py": "def scale(x, factor):\n    return x * factor\n",
}


def prepare(arena):
    for name, text in FILES.items():
        path = arena.handed_in / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
