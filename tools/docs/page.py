"""A page of docs/ of which a program writes the part between two markers."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def update(page, begin, end, text, command):
    """Puts `text` between the markers; with --check only says if it differs.

    `command` is what a person runs to bring the page up to date.
    """
    written = page.read_text()
    head, _, rest = written.partition(begin)
    _, _, tail = rest.partition(end)
    wanted = f"{head}{begin}\n{text}\n{end}{tail}"
    if "--check" not in sys.argv:
        page.write_text(wanted)
    elif wanted != written:
        sys.exit(f"{page.relative_to(ROOT)} is not what its sources say: run "
                 f"{command}")
