"""Find the GPUs of the machine, and describe the device that a run uses."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml


def visible_gpus() -> list[str]:
    """Return a value of `CUDA_VISIBLE_DEVICES` for each GPU: an index, or the UUID of a MIG slice.

    Only GPUs that the variable allows now are listed. Without a GPU or its driver the list is empty.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        installed = [name for index in range(pynvml.nvmlDeviceGetCount()) for name in _slices(index)]
    finally:
        pynvml.nvmlShutdown()
    return limit_to_visible(installed, os.environ.get("CUDA_VISIBLE_DEVICES"))


def limit_to_visible(installed: list[str], visible: str | None) -> list[str]:
    """Return the installed GPUs that the value `visible` of `CUDA_VISIBLE_DEVICES` lets CUDA see.

    As in CUDA, the list ends before the first invalid index. UUIDs are not checked.
    """
    if visible is None or not installed:
        return installed
    names: list[str] = []
    for name in map(str.strip, visible.split(",")):
        if not name.startswith(("GPU-", "MIG-")) and not (name.isdecimal() and int(name) < len(installed)):
            break
        names.append(name)
    return names


def _slices(index: int) -> list[str]:
    """Return the index of a GPU, or the UUIDs of its MIG slices if it is divided into such."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    slices: list[str] = []
    with suppress(pynvml.NVMLError):  # raised by a GPU that has no MIG mode
        if pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
            for slot in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with suppress(pynvml.NVMLError):  # an empty slot
                    slices.append(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot)))
    return slices or [str(index)]


def device_tags(device: str) -> dict[str, str]:
    """Return tags for a device: `cpu` or `cuda`, the name of the processor or GPU, and its memory in GiB."""
    if device.startswith("cuda"):
        import torch  # takes seconds to import, but is imported by now

        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = processor_name(), psutil.virtual_memory().total
    return {"device": device.split(":")[0], "device.name": name, "device.memory": f"{memory / 2**30:.1f} GiB"}


def processor_name() -> str:
    """Return the name of the processor under Linux, elsewhere its architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
