"""Settings of PyTorch while a network trains or forecasts: threads, denormals, precision, determinism."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from models.errors import InputError
from models.specs import FitSpec, Precision


def check_precision(precision: Precision, device: str) -> None:
    """Refuse a precision that the device does not have.

    **Raises:** `InputError` for anything but float32 without a GPU.
    """
    if precision != "float32" and device != "cuda":
        raise InputError(f"--fit.precision {precision} needs a GPU, and this trains on the {device}; use float32")


@contextmanager
def small_products() -> Iterator[None]:
    """Run PyTorch on one thread, since sharing small products costs more than it saves; flush slow denormals."""
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
    """Set the precision and determinism of a GPU as the spec says; without a GPU it does nothing.

    Products are rounded to 24 bits ("float32"), 11 ("tf32") or 8 ("bf16"); sums, weights and the optimiser stay in
    float32. By default PyTorch lets cuDNN use TF32 but not cuBLAS; here both follow the spec.
    """
    if not torch.cuda.is_available():
        yield
        return
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    previous = cuda.allow_tf32, cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled()
    if spec.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")  # read when cuBLAS is first used
        torch.use_deterministic_algorithms(True)
    cuda.allow_tf32 = cudnn.allow_tf32 = spec.precision == "tf32"
    mixed = torch.autocast("cuda", torch.bfloat16, cache_enabled=False) if spec.precision == "bf16" else nullcontext()
    try:
        with mixed:
            yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = previous[:2]
        if spec.deterministic:
            torch.use_deterministic_algorithms(previous[2])
