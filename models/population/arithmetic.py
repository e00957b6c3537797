"""How numbers are computed while a network trains or forecasts: threads, denormals, precision, determinism."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from models.errors import InputError
from models.specs import FitSpec, Precision


def check_precision(precision: Precision, device: str) -> None:
    """Refuse what the device cannot do.

    **Raises:** `InputError` where anything but float32 is asked for without a GPU.
    """
    if precision != "float32" and device != "cuda":
        raise InputError(f"--fit.precision {precision} is for a GPU, and this trains on the {device}: use float32")


@contextmanager
def small_products() -> Iterator[None]:
    """PyTorch on one thread, as a hand-off costs more than a small product, and without denormals, which are slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@contextmanager
def on_gpu(spec: FitSpec) -> Iterator[None]:
    """The precision and the determinism that a spec asks of a GPU; nothing on a CPU, where both are given.

    Products count 24 bits ("float32"), 11 ("tf32") or 8 ("bf16"); sums, weights and the optimiser stay in float32.
    PyTorch lets cuDNN, but not cuBLAS, use TF32 unless told; here both do what is asked.
    """
    if not torch.cuda.is_available():
        yield
        return
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled()
    if spec.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")  # read when cuBLAS is first used
        torch.use_deterministic_algorithms(True)
    cuda.allow_tf32 = cudnn.allow_tf32 = spec.precision == "tf32"
    mixed = torch.autocast("cuda", torch.bfloat16, cache_enabled=False) if spec.precision == "bf16" else nullcontext()
    try:
        with mixed:
            yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before[:2]
        if spec.deterministic:
            torch.use_deterministic_algorithms(before[2])
