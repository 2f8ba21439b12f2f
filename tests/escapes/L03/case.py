"""Modules that would be loaded if the variables reached the judge."""

SPY = """
import os, sys
if any("grader.judge" in word or "grader.worker" in word for word in sys.orig_argv):
    open("@ROOT@/tmp/escaped-l03", "w").close()
"""


def prepare(arena):
    folder = arena.root / "evil"
    folder.mkdir()
    for name in ("sitecustomize", "usercustomize", "evil_plugin"):
        (folder / f"{name}.py").write_text(SPY.replace("@ROOT@", str(arena.root)))
    arena.environment |= {
        "PYTHONPATH": str(folder),
        "PYTHONSTARTUP": str(folder / "sitecustomize.py"),
        "PYTEST_ADDOPTS": "--collect-only -p evil_plugin",
        "PYTEST_PLUGINS": "evil_plugin",
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_PRELOAD": str(folder / "evil.so"),
        "GRADKATA_SKIP": "1",
    }
