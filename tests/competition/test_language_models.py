import json
from dataclasses import replace

import pytest

from quorum.competition import language_models
from quorum.competition.language_models import (
    place_model,
    propose_model_members,
    suggest_model,
    write_model_members,
)
from quorum.competition.machine import Gpu, Machine
from quorum.competition.run import choose_members, find_training_toml, is_tuned
from quorum.config import from_table, read_table
from quorum.errors import BadInput
from quorum.judge.settings import RunSettings
from quorum.model.backend import read_backend_settings
from quorum.model.model_files import LanguageModel, read_language_model
from quorum.train.settings import CausalTuning, TrainSettings
from tests.support.tiny import tiny_model

CPU = Machine(cores=2, memory=24.0)
TWO_T4 = Machine(cores=4, memory=30.0, gpus=(Gpu("Tesla T4", 15.0, 7.5),) * 2)
H100 = Machine(cores=16, memory=128.0, gpus=(Gpu("NVIDIA H100 80GB HBM3", 79.6, 9.0),))
SEVEN = LanguageModel(source="org/Seven-7B", billions=7.6, chats=True, heads=28, quantised=False, bytes=15_200_000_000)


@pytest.fixture(params=[True, False], ids=["vllm", "no vllm"])
def vllm(request, monkeypatch):
    monkeypatch.setattr(language_models, "_has_vllm", lambda: request.param)
    return request.param


def test_a_folder_says_how_large_a_model_is_and_whether_it_chats():
    plain, chat = tiny_model("qwen3"), tiny_model("qwen3", chat=True)
    found = read_language_model(str(plain))
    assert not found.chats
    assert read_language_model(str(chat)).chats
    assert 0 < found.billions < 0.01
    assert found.heads == json.loads((plain / "config.json").read_text())["num_attention_heads"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("no/such/folder", "no such folder"), ("missing", "no such folder"), ("./missing", "no such folder")],
)
def test_a_model_that_is_not_there_is_refused_with_a_hint(name, words):
    with pytest.raises(BadInput, match=words):
        read_language_model(name)


def test_a_folder_that_holds_no_language_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no config\.json"):
        read_language_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(BadInput, match="BertModel is not a causal language model"):
        read_language_model(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}')
    with pytest.raises(BadInput, match="no weights"):
        read_language_model(str(tmp_path))


def test_a_cpu_computes_in_float32_and_a_model_without_a_chat_template_scores_options():
    placed = place_model(replace(SEVEN, billions=0.3, chats=False), CPU)
    assert placed.backend == "transformers"
    assert placed.settings == {"method": "option", "dtype": "float32"}
    assert placed.training == {"dtype": "float32"}


def test_a_model_that_does_not_fit_is_refused_with_what_it_needs():
    with pytest.raises(BadInput, match=r"7\.6 billion parameters need about 30 GiB in float32 on a CPU, and 22 of 24"):
        place_model(SEVEN, CPU)
    with pytest.raises(BadInput, match="in 4 bits"):
        place_model(replace(SEVEN, billions=70.0), TWO_T4)


def test_seven_billions_run_in_16_bits_over_two_t4s_with_vllm_and_in_4_bits_on_one_without(vllm):
    placed = place_model(SEVEN, TWO_T4)
    if vllm:
        assert placed.backend == "vllm"
        assert placed.settings == {"method": "letter", "dtype": "float16", "tensor_parallel_size": 2}
    else:
        assert placed.backend == "transformers"
        assert placed.settings["load_in_4bit"] is True
    assert placed.training is not None
    assert (placed.training["method"], placed.training["dtype"]) == ("qlora", "float16")


def test_thirty_two_billions_are_quantised_over_two_t4s(vllm):
    large = replace(SEVEN, billions=32.8, heads=40)
    if not vllm:
        with pytest.raises(BadInput, match="in 4 bits on one GPU"):
            place_model(large, TWO_T4)
        return
    placed = place_model(large, TWO_T4)
    assert placed.settings["quantization"] == "bitsandbytes"
    assert placed.settings["tensor_parallel_size"] == 2
    assert placed.training is None


def test_an_odd_number_of_heads_is_not_divided_over_gpus(monkeypatch):
    monkeypatch.setattr(language_models, "_has_vllm", lambda: True)
    assert place_model(replace(SEVEN, billions=0.14, heads=9), TWO_T4).settings["tensor_parallel_size"] == 1


def test_a_quantised_model_keeps_its_weights_and_is_not_trained(vllm):
    placed = place_model(replace(SEVEN, quantised=True, bytes=5_000_000_000), TWO_T4)
    assert not {"quantization", "load_in_4bit"} & placed.settings.keys()
    assert placed.training is None


@pytest.mark.parametrize("machine", [CPU, TWO_T4, H100], ids=str)
@pytest.mark.parametrize("billions", [0.14, 0.5, 1.5])
def test_written_members_are_settings_that_the_kernels_accept(tmp_path, machine, billions, vllm):
    members = write_model_members(replace(SEVEN, billions=billions), machine, tmp_path / "members")
    assert [path.name for path in members] == ["seven-7b.toml", "seven-7b-tuned.toml"]
    assert choose_members(members, False) == members
    for path in members:
        settings = from_table(RunSettings, read_table(path), str(path))
        read_backend_settings(settings.backend)
        assert settings.run == path.stem
    assert is_tuned(members[1])
    training = from_table(TrainSettings, read_table(find_training_toml(members[1])), "training")
    table = {name: value for name, value in training.trainer.items() if name != "name"}
    assert from_table(CausalTuning, table, "trainer").model == "org/Seven-7B"


def test_the_suggestion_grows_with_the_machine(monkeypatch):
    monkeypatch.setattr(language_models, "_has_vllm", lambda: True)
    assert suggest_model(CPU) == "Qwen/Qwen2.5-0.5B-Instruct"
    assert suggest_model(TWO_T4) == "Qwen/Qwen2.5-32B-Instruct"
    assert suggest_model(H100) == "Qwen/Qwen2.5-72B-Instruct"


def test_without_a_name_a_gpu_runs_the_largest_model_of_the_cache_that_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(language_models, "_has_vllm", lambda: True)
    cached = [replace(SEVEN, source=f"org/m{size}", billions=size) for size in (70.0, 7.6, 0.5)]
    monkeypatch.setattr(language_models, "list_cached_models", lambda: cached)
    lines: list[str] = []
    members = propose_model_members([], TWO_T4, tmp_path, lines.append)
    assert [path.stem for path in members] == ["m7.6", "m7.6-tuned"]
    assert propose_model_members([], CPU, tmp_path, lines.append) == []
    assert "org/m0.5, which is in the cache" in lines[-1]
    monkeypatch.setattr(language_models, "list_cached_models", list)
    assert propose_model_members([], CPU, tmp_path, lines.append) == []
    assert "hf download" in lines[-1]
