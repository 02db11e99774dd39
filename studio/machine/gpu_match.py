"""Do PyTorch's CUDA, the driver and bitsandbytes fit together? A judgement without I/O."""

from __future__ import annotations

from studio.machine.doctor import REPAIR, Part

GOOD_DRIVER = "580"  # the first that runs CUDA 13, PyTorch's main build
_AUTO = "python3 installers/bootstrap.py --no-start --backend auto"


def judge_gpu(
    *,
    torch_cuda: str | None,
    torch_rocm: str | None,
    is_available: bool,
    driver: tuple[str, str] | None,
    builds: tuple[str, ...],
) -> Part:
    """Compare PyTorch's CUDA, the driver and bitsandbytes, and name what does not fit.

    Args:
        torch_cuda: the CUDA that PyTorch was built for, None for another build.
        driver: the driver's version and the newest CUDA it runs.
        builds: bitsandbytes' libraries, such as `cuda130` or `cpu`.
    """
    name = "GPU match"
    if torch_rocm:
        fix = "" if is_available else "Check that ROCm's driver is loaded and you are in the groups render and video."
        return Part(name, is_available, f"PyTorch is built for ROCm {torch_rocm}", fix)
    if not torch_cuda:
        if driver:
            found = f"driver {driver[0]} is there, but PyTorch is a build without CUDA: the GPU is not used"
            return Part(name, None, found, f"Update the NVIDIA driver to {GOOD_DRIVER} or newer, then run: {_AUTO}")
        return Part(name, None, "no NVIDIA GPU, and PyTorch is the CPU build")
    if not driver:
        return Part(
            name,
            False,
            f"PyTorch is built for CUDA {torch_cuda}, but there is no NVIDIA driver",
            "Install the NVIDIA driver, or run: python3 installers/bootstrap.py --no-start --backend cpu",
        )
    if _major(driver[1]) < _major(torch_cuda):
        return Part(
            name,
            False,
            f"driver {driver[0]} runs CUDA up to {driver[1]}, PyTorch is built for {torch_cuda}",
            f"Update the NVIDIA driver, then run: {_AUTO}",
        )
    if not is_available:
        return Part(
            name,
            False,
            f"driver {driver[0]} and CUDA {torch_cuda} fit, but PyTorch sees no GPU",
            "Restart the computer; in a container, start it with the GPU passed through.",
        )
    wanted = "cuda" + "".join(torch_cuda.split(".")[:2])
    if wanted not in builds:
        return Part(
            name,
            False,
            f"bitsandbytes has no build for CUDA {torch_cuda} (it has {', '.join(builds)})",
            "4-bit training needs one; other methods work. " + REPAIR,
            ("bitsandbytes",),
        )
    return Part(name, True, f"driver {driver[0]}, CUDA {torch_cuda} and bitsandbytes fit")


def _major(version: str) -> int:
    return int(version.split(".")[0])
