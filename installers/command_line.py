"""The installer's command line: what to do, and how every failure is told."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from installers import offline
from installers.console import Console
from installers.failures import SetupError
from installers.llama_build import VERSION as LLAMA_VERSION
from installers.lock import only_one
from installers.places import Places, here
from installers.requirements import requirements
from installers.runner import Runner, clean_environment
from installers.self_test import Result
from installers.setup_steps import Options, Setup
from installers.start import run_program, run_tests

_BACKENDS = ("auto", "cpu", "cuda", "rocm", "apple")
_LLAMA_BACKENDS = ("auto", "cpu", "cuda", "rocm", "vulkan", "metal")


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(
        prog="bootstrap.py",
        description="Set up Tunesmith in the folder .venv of this checkout, test it, and start it. "
        "Running it again is quick, and repairs what is broken.",
        epilog="Without a command: set up and start (on a computer without a display, the demo).",
    )
    top.add_argument("--no-start", action="store_true", help="set up and test, then stop")
    top.add_argument(
        "--offline", type=Path, metavar="FOLDER", help="install from a folder made by `bundle`, without a network"
    )
    top.add_argument(
        "--backend",
        choices=_BACKENDS,
        default="",
        help="which PyTorch; auto looks at the hardware (default: as last time)",
    )
    top.add_argument(
        "--llama-backend",
        choices=_LLAMA_BACKENDS,
        default="",
        help="what llama.cpp computes on in the chat with GGUF files; auto takes the GPU where its compiler is there",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    test = commands.add_parser("test", help="set up with the test tools and run the whole test suite")
    test.add_argument("pytest", nargs=argparse.REMAINDER, help="further arguments go to pytest")
    bundle = commands.add_parser("bundle", help="collect everything for a set-up without a network")
    bundle.add_argument("folder", type=Path, metavar="FOLDER")
    commands.add_parser("doctor", help="say what works on this computer, what does not, and the fix")
    return top


def run(arguments: list[str]) -> int:
    """0 done, 1 failed, 130 interrupted; of the program or the tests their own exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console's code page may lack a letter of someone's folder
    chosen = parser().parse_args(arguments)
    places = here()
    try:
        return _act(chosen, places)
    except SetupError as error:
        _explain(error, places)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it continues where it stopped.", file=sys.stderr)
        return 130
    except OSError as error:
        _explain(_sentence_of(error), places)
        return 1


def _act(chosen: argparse.Namespace, places: Places) -> int:
    if chosen.command == "doctor":
        return _doctor(places)
    if chosen.command == "bundle":
        with only_one(places):
            return _bundle(chosen, places)
    is_test = chosen.command == "test"
    with only_one(places):
        results = _set_up(chosen, places, with_dev=is_test)
    if is_test:
        return run_tests(places, chosen.pytest)
    broken = [result for result in results if result.works is False]
    if any(result.is_essential for result in broken):
        print("\nTunesmith cannot start before the parts above are mended.", file=sys.stderr)
        return 1
    if chosen.no_start:
        return 1 if broken else 0
    return run_program(places)


def _set_up(chosen: argparse.Namespace, places: Places, *, with_dev: bool) -> list[Result]:
    options = Options(chosen.backend, chosen.llama_backend, chosen.offline, with_dev)
    console = Console(total=2)
    results = Setup(places, options, console).run()
    console.table()
    print(f"\nSet up in {places.venv}", flush=True)
    return results


def _doctor(places: Places) -> int:
    if not places.python.exists():
        raise SetupError("Nothing is set up yet.", "Run: python3 installers/bootstrap.py --no-start")
    return subprocess.call([str(places.python), "-m", "studio", "doctor"], cwd=places.root, env=clean_environment())


def _bundle(chosen: argparse.Namespace, places: Places) -> int:
    """Collect into a folder what `--offline` needs, for this Python, system and kind of GPU."""
    console = Console(total=4)
    setup = Setup(places, Options(chosen.backend, chosen.llama_backend), console)
    setup.check()
    setup.make_environment()
    wheel = setup.get_llama()
    with console.step(f"Collecting into {chosen.folder}"):
        torch, torch_options = setup.packages.torch_source()
        tools = [f"{name}=={setup.packages.pinned(name)}" for name in ("pip", "setuptools", "wheel")]
        size = offline.make_bundle(
            chosen.folder.resolve(),
            places,
            Runner(places.log, console.live),
            requirements=[*requirements(places.pyproject, with_dev=True), f"llama-cpp-python=={LLAMA_VERSION}", *tools],
            torch=torch,
            torch_options=torch_options,
            wheel=wheel,
            build=setup.build,
            archive=setup.packages.archive(),
        )
    console.table()
    print(
        f'\n{size / 1e9:.2f} GB in {chosen.folder}. There: python3 installers/bootstrap.py --offline "{chosen.folder}"'
    )
    return 0


def _sentence_of(error: OSError) -> SetupError:
    from installers.failures import explain

    where = f" ({error.filename})" if error.filename else ""
    found = explain(str(error), f"reading or writing a file{where}: {error.strerror}")
    return SetupError(f"{found.sentence.rstrip('.')}{where}.", found.fix)


def _explain(error: SetupError, places: Places) -> None:
    """The sentence and the fix; for a command that failed also its last lines and where the rest is."""
    print(f"\n{error.sentence}\n{error.fix}", file=sys.stderr)
    if error.last_lines:
        print(f"\nThe log: {places.log}\nIts last lines:", file=sys.stderr)
        for line in error.last_lines:
            print(f"  | {line[:300]}", file=sys.stderr)
