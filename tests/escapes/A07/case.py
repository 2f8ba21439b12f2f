"""Everything that pytest or Python would obey if the folder were trusted."""

HOOK = """
print("SHADOWED")
def pytest_runtest_makereport(item, call):
    import _pytest.reports
    return _pytest.reports.TestReport(item.nodeid, item.location, {}, "passed", None, call.when)
def pytest_collection_modifyitems(items):
    items.clear()
"""
FILES = {
    "conftest.py": HOOK,
    "sitecustomize.py": HOOK,
    "usercustomize.py": HOOK,
    "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--collect-only'\n",
    "setup.cfg": "[tool:pytest]\naddopts = --collect-only\n",
    "tox.ini": "[pytest]\naddopts = --collect-only\n",
    "evil.pth": "import os; print('SHADOWED')\n",
    "test_scale.py": "def test_shape(): pass\n",
    "kata.toml": "tests = 0\n",
}


def prepare(arena):
    for folder in (arena.handed_in, arena.handed_in / "01_scale"):
        for name, text in FILES.items():
            (folder / name).write_text(text)
