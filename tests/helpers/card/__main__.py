"""`python -m tests.helpers.card MODULE ARGUMENTS`: a module, run in a process that has the pretended card."""

import runpy
import sys

from studio.paths import cache_dir
from tests.helpers.card import library, plug_in

made = library(cache_dir() / "tests")
if made is None:
    sys.exit("The pretended card is compiled on Linux, with a C++ compiler (c++, or the one that CXX names).")
plug_in(made)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
