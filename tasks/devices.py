"""The machine's GPUs, and what a run says of the device that it ran on."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml


def visible_gpus() -> list[str]:
    """What to put into `CUDA_VISIBLE_DEVICES`, one for each GPU; empty without a GPU or its driver.

    An index, or the UUID of a MIG slice. What `CUDA_VISIBLE_DEVICES` names already limits them.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        present = [name for index in range(pynvml.nvmlDeviceGetCount()) for name in _slices(index)]
    finally:
        pynvml.nvmlShutdown()
    return allowed(present, os.environ.get("CUDA_VISIBLE_DEVICES"))


def allowed(present: list[str], visible: str | None) -> list[str]:
    """Those of the GPUs that are present which `CUDA_VISIBLE_DEVICES` lets CUDA see.

    As in CUDA, nothing behind an index that is no GPU's is seen. UUIDs are taken as they are.
    """
    if visible is None or not present:
        return present
    names: list[str] = []
    for name in map(str.strip, visible.split(",")):
        if not name.startswith(("GPU-", "MIG-")) and not (name.isdecimal() and int(name) < len(present)):
            break
        names.append(name)
    return names


def _slices(index: int) -> list[str]:
    """A GPU's index, or the UUIDs of its MIG slices, where it is cut into such."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    found: list[str] = []
    with suppress(pynvml.NVMLError):  # a GPU that cannot be cut says so
        if pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
            for slot in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with suppress(pynvml.NVMLError):  # an empty slot
                    found.append(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot)))
    return found or [str(index)]


def device_tags(device: str) -> dict[str, str]:
    """A run's tags of its device: `cpu` or `cuda`, the name of the processor or GPU, and its memory in GiB."""
    if device.startswith("cuda"):
        import torch  # takes seconds, and is there by now

        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = processor_name(), psutil.virtual_memory().total
    return {"device": device.split(":")[0], "device.name": name, "device.memory": f"{memory / 2**30:.1f} GiB"}


def processor_name() -> str:
    """The processor as Linux names it, else its architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
