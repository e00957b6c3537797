"""Sharing work among threads. Compiled code runs without the interpreter's lock, so plain threads suffice."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def count_threads() -> int:
    """Return how many threads to use: OMP_NUM_THREADS, as in PyTorch and NumPy, or the processors available."""
    setting = os.environ.get("OMP_NUM_THREADS", "")
    if setting.isdigit() and int(setting) > 0:
        return int(setting)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_out(work: Callable[[int, int], None], items: int, threads: int) -> None:
    """Call work(item, thread) for every item; each thread takes the next item when it has finished one."""
    remaining = iter(range(items))

    def take(thread: int) -> None:
        for item in remaining:  # advancing a range is one step of the interpreter, so no item is taken twice
            work(item, thread)

    others = [_pool().submit(take, thread) for thread in range(1, min(threads, items))]
    take(0)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads of this process, which flush denormals as the calling thread does."""
    return ThreadPoolExecutor(os.cpu_count(), "kernel", initializer=torch.set_flush_denormal, initargs=(True,))
