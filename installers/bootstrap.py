"""The one entry point: `python3 installers/bootstrap.py [test | bundle FOLDER | doctor]`.

This file must parse on any Python 3.6+, so that a too old one is told off with a sentence; everything that needs a
newer Python is imported after the check.
"""

import os
import sys

LOWEST = (3, 11)
HIGHEST = (3, 13)


def python_problem(version):
    # type: (tuple[int, ...]) -> str
    """A sentence with the fix when this Python cannot run Tunesmith, else an empty string."""
    found = "%d.%d" % (version[0], version[1])
    if LOWEST <= tuple(version[:2]) <= HIGHEST:
        return ""
    if os.name == "nt":
        fix = "Install Python 3.13 from python.org, then run: py -3.13 installers\\bootstrap.py"
    elif sys.platform == "darwin":
        fix = "Install Python 3.13 (brew install python@3.13), then run: python3.13 installers/bootstrap.py"
    else:
        fix = (
            "Install one (Debian, Ubuntu: sudo apt install python3.12 python3.12-venv; Fedora: sudo dnf install "
            "python3.12), then run: python3.12 installers/bootstrap.py"
        )
    return "Tunesmith needs Python 3.11, 3.12 or 3.13, and this is Python %s (%s). %s" % (found, sys.executable, fix)


def main():
    # type: () -> int
    problem = python_problem(tuple(sys.version_info[:3]))
    if problem:
        sys.stderr.write(problem + "\n")
        return 1
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from installers.command_line import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
