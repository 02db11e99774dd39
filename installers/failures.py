"""Failures as a sentence with the fix, and the table that reads pip's and the compiler's output."""

from __future__ import annotations

import re


class SetupError(Exception):
    """Something a person can put right.

    Attributes:
        last_lines: of the command that failed, empty when it was not a command.
    """

    def __init__(self, sentence: str, fix: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{sentence} {fix}".strip())
        self.sentence = sentence
        self.fix = fix
        self.last_lines = last_lines


# First match wins, so the precise causes stand above the ones that merely follow from them.
_TABLE: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|not enough space on the disk|WinError 112|Errno 28\b|Disk quota exceeded",
        "The disk is full.",
        "Free some space (10 GB is enough for every part), then run the same command again: what is done is kept.",
    ),
    (
        r"Killed signal terminated program|virtual memory exhausted|out of memory allocating|MemoryError|"
        r"compiler is out of heap space",
        "The computer ran out of memory.",
        "Close other programs and run the same command again; with under 4 GB of RAM add swap space first.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed",
        "A secure connection could not be checked: the certificate is not trusted.",
        "Behind a company proxy set PIP_CERT to your company's certificate file; also check the computer's clock.",
    ),
    (
        r"ProxyError|Cannot connect to proxy|407 Proxy Authentication",
        "The proxy refused the connection.",
        "Set HTTPS_PROXY to your proxy (http://user:password@host:port), or install offline: see --offline in --help.",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|"
        r"Network is unreachable|Failed to establish a new connection|NewConnectionError|ConnectTimeout|"
        r"ReadTimeoutError|Read timed out|Connection refused|Connection reset|No route to host|NameResolutionError",
        "The package index could not be reached.",
        "Check the network and run the same command again, or install without one: make a folder on a connected "
        "computer with `python3 installers/bootstrap.py bundle FOLDER`, then use `--offline FOLDER` here.",
    ),
    (
        r"DO NOT MATCH THE HASHES|IncompleteRead|InvalidChunkLength|BadZipFile|invalid wheel|"
        r"Wheel .* is invalid",
        "A download arrived damaged.",
        "Run the same command again; if it happens again, empty pip's cache with: python3 -m pip cache purge",
    ),
    (
        r"WinError 32|WinError 5\b|being used by another process",
        "Windows keeps a file of the environment in use.",
        "Close Tunesmith and every terminal that uses .venv, then run the same command again.",
    ),
    (
        r"WinError 206|File name too long|Errno 36\b|filename or extension is too long|path is too long",
        "A path became too long.",
        "Move the checkout to a shorter folder (such as C:\\tunesmith), or switch on long paths in Windows.",
    ),
    (
        r"Permission denied|PermissionError|Errno 13\b|Read-only file system|Errno 30\b",
        "A folder cannot be written.",
        "Move the checkout to a folder of your own, or give yourself the right to write there; do not use sudo.",
    ),
    (
        r"CMAKE_C(XX)?_COMPILER|Microsoft Visual C\+\+ .* required|"
        r"unable to find .*compiler|xcrun: error",
        "No working C and C++ compiler was found.",
        "{compiler_fix}",
    ),
    (
        r"No CUDA toolset found|CUDA Toolkit not found|CUDAToolkit.* not found|nvcc fatal|CMAKE_CUDA_COMPILER",
        "The CUDA toolkit cannot build llama.cpp here.",
        "Run again with --llama-backend cpu: training still uses the GPU, only the chat with GGUF files uses the CPU.",
    ),
    (
        r"Could not find a version that satisfies the requirement (?P<what>[^\s(;]+)|"
        r"No matching distribution found for (?P<other>[^\s(;]+)",
        "The package index has no build of {what} for this computer and Python.",
        "Use Python 3.11, 3.12 or 3.13 (64 bit); if pip is set to a mirror, it may be incomplete: try another index.",
    ),
    (
        r"CMake Error|ninja: build stopped|FAILED: .*\.(o|obj)\b|CMake build failed",
        "llama-cpp-python could not be compiled.",
        "The lines below say where. Update the compiler ({compiler_fix}), or run again with --llama-backend cpu.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "The pinned versions contradict each other.",
        "This is a fault in installers/constraints.txt: please report it with the lines below.",
    ),
)


def explain(output: str, step: str, *, compiler_fix: str = "") -> SetupError:
    """Read a failed command's output and say what is wrong and what to do."""
    for pattern, sentence, fix in _TABLE:
        match = re.search(pattern, output, re.IGNORECASE)
        if match:
            groups = match.groupdict()
            what = groups.get("what") or groups.get("other") or "a package"
            return SetupError(sentence.format(what=what), fix.format(compiler_fix=compiler_fix, what=what))
    return SetupError(
        f'The step "{step}" failed.', "The last lines below say why; run the same command again to retry."
    )
