"""Where the tests here find other people's packages: an environment of Python
each, made once and never part of the build."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SKIPPED = 77  # ctest's exit code for a test that cannot be run


def enter(name, error):
    """Runs this program again in the environment `name`, for `error` is what it
    lacks in this one; without it ends the program as skipped. It is
    .cache/NAME, or the Python that LORY_NAME_PYTHON names."""
    variable = f"LORY_{name.upper().replace('-', '_')}_PYTHON"
    python = Path(os.environ.get(variable, ROOT / ".cache" / name / "bin/python"))
    if python.exists() and os.environ.get("LORY_INTEROP_CHILD") is None:
        os.environ["LORY_INTEROP_CHILD"] = "1"
        os.execv(python, [str(python)] + sys.argv)
    print(f"skipped: {error}; make the environment with\n"
          f"  python3 -m venv .cache/{name}\n"
          f"  .cache/{name}/bin/pip install -r "
          f"tests/interop/requirements{name.removeprefix('interop')}.txt")
    sys.exit(SKIPPED)
