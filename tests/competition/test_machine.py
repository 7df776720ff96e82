import pytest

from quorum.competition.machine import Gpu, Machine, inspect_machine, parse_gpus

TWO = ["GPU 0, Tesla T4, 7.5, 15360 MiB, driver 580.65", "GPU 1, Tesla T4, 7.5, 15360 MiB, driver 580.65"]


def test_the_gpus_of_nvidia_smi_are_read_with_memory_and_number_type():
    assert parse_gpus(TWO) == (Gpu("Tesla T4", 15.0, 7.5),) * 2
    assert parse_gpus(TWO)[0].dtype == "float16"
    assert parse_gpus(["GPU 0, NVIDIA H100 80GB HBM3, 9.0, 81559 MiB, driver 580.65"])[0].dtype == "bfloat16"
    assert parse_gpus(["no GPU"]) == ()
    assert parse_gpus(["no GPU: NVIDIA-SMI has failed."]) == ()


@pytest.mark.parametrize(("visible", "count"), [("0", 1), ("0,1", 2), ("GPU-1a2b", 1), ("", 0), ("-1", 0), (None, 2)])
def test_gpus_that_cuda_visible_devices_hides_do_not_count(visible, count):
    assert len(parse_gpus(TWO, visible)) == count


def test_nvidia_smi_is_asked(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, Tesla T4, 7.5, 15360 MiB, 580.65'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert inspect_machine().gpus == parse_gpus(TWO[:1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert inspect_machine().gpus == ()


def test_a_machine_is_described_in_a_few_words():
    assert str(Machine(cores=4, memory=30.2, gpus=parse_gpus(TWO))) == "4 cores, 30 GiB, 2 x Tesla T4 with 15 GiB"
    found = inspect_machine()
    assert found.cores >= 1
    assert found.memory > 0.5
