"""The devices of the machine, as workers and runs name them."""

import os
import subprocess
import sys

import psutil
import pytest

from tasks import devices
from tasks.devices import device_tags, limit_to_visible, visible_gpus


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["0", "1", "2"]),
        ("2, 0", ["2", "0"]),
        ("", []),
        ("1,-1,0", ["1"]),  # as in CUDA, nothing after an invalid index
        ("3,0", []),
        ("GPU-8f6a,MIG-11b2", ["GPU-8f6a", "MIG-11b2"]),
    ],
)
def test_cuda_visible_devices_limits_the_gpus_that_get_workers(visible: str | None, names: list[str]) -> None:
    assert limit_to_visible(["0", "1", "2"], visible) == names


def test_without_a_gpu_nothing_is_visible_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise devices.pynvml.NVMLError(devices.pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(devices.pynvml, "nvmlInit", no_driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert visible_gpus() == []


def test_looking_for_gpus_does_not_import_torch() -> None:
    code = "import sys; from tasks.devices import visible_gpus; visible_gpus(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, check=True)


def test_a_run_on_the_cpu_names_the_processor_and_its_memory() -> None:
    tags = device_tags("cpu")
    assert tags["device"] == "cpu"
    assert tags["device.name"]
    assert tags["device.memory"] == f"{psutil.virtual_memory().total / 2**30:.1f} GiB"


def test_a_run_on_a_gpu_names_it() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    tags = device_tags("cuda")
    assert tags["device"] == "cuda"
    assert tags["device.name"] == torch.cuda.get_device_name()
    assert tags["device.memory"].endswith(" GiB")
