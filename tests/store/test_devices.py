"""Counting GPUs: PyTorch is asked where there may be one, and left alone where there is none."""

import sys

import pytest
import torch

from drnbench.store import devices
from drnbench.store.devices import gpu_count


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A Linux machine without devices, and a PyTorch that finds three wherever it is asked."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(devices, "ROOT", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    return tmp_path


def test_no_device_file_means_none_and_pytorch_is_not_imported(asked, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would raise
    (asked / "dev").mkdir()
    (asked / "dev" / "nvme0n1").touch()
    assert gpu_count() == 0


@pytest.mark.parametrize("file", ["dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/version", "dev/kfd", "dev/dxg"])
def test_a_device_file_means_that_pytorch_is_asked(asked, monkeypatch, file):
    (asked / file).parent.mkdir(parents=True)
    (asked / file).touch()
    assert gpu_count() == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # a driver too old, or a build without CUDA
    assert gpu_count() == 0


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_devices_do_not_count(asked, monkeypatch, visible):
    (asked / "dev").mkdir()
    (asked / "dev" / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gpu_count() == 0


def test_a_list_of_devices_is_pytorchs_business(asked, monkeypatch):
    (asked / "dev").mkdir()
    (asked / "dev" / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert gpu_count() == 3


@pytest.mark.parametrize(("platform", "count"), [("darwin", 0), ("win32", 3)])
def test_other_systems(asked, monkeypatch, platform, count):
    monkeypatch.setattr(sys, "platform", platform)
    assert gpu_count() == count
