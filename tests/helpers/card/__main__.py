"""`python -m tests.helpers.card LIBRARY MODULE ARGUMENTS`: a module, run in a process that has the pretended card."""

import runpy
import sys
from pathlib import Path

from tests.helpers.card import plug_in

plug_in(Path(sys.argv[1]))
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
