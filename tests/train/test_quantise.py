"""Quantising a tiny real model with llm-compressor, which is in none of the locked environments."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from quorum.errors import BadInput
from quorum.train.quantise import quantise_model
from tests.support.largest import largest_rows, write_largest
from tests.support.tiny import tiny_model
from tests.support.verb import run_verb

needs_compressor = pytest.mark.skipif(
    find_spec("llmcompressor") is None, reason="llmcompressor is not installed; docs/training.md says how"
)
PROMPTS = [row.prompt for row in largest_rows(8)]


def whole() -> str:
    return str(tiny_model("llama", head_dim=32))


@pytest.mark.skipif(find_spec("llmcompressor") is not None, reason="llmcompressor is installed")
def test_without_the_compressor_one_line_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="quantising needs llmcompressor; pip install llmcompressor"):
        quantise_model(whole(), PROMPTS, tmp_path / "out")


@needs_compressor
def test_a_quantised_model_is_smaller_and_compared_with_the_whole_one(tmp_path: Path) -> None:
    write_largest(tmp_path / "asked.csv", 40)
    write_largest(tmp_path / "train.csv", 20, seed=1)
    out = tmp_path / "quantised"
    done = run_verb(
        *("quantise", whole(), str(tmp_path / "asked.csv"), "--train", str(tmp_path / "train.csv")),
        *("--out", str(out), "--json"),
    )
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert (document["asked"], document["n"], document["group"]) == (40, 40, 32)
    assert document["accuracy"]["quantised"] == pytest.approx(document["accuracy"]["whole"] + document["difference"])
    assert len(document["differ"]) < 20
    assert done.returncode == (document["difference"] < -2 * document["error"])
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert (config["format"], config["ignore"]) == ("pack-quantized", ["lm_head"])
    sizes = [(Path(folder) / "model.safetensors").stat().st_size for folder in (whole(), str(out))]
    assert sizes[1] < sizes[0]
    again = run_verb("quantise", whole(), "asked.csv", "--train", "train.csv", "--out", str(out), cwd=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


@needs_compressor
def test_layers_without_a_common_group_are_refused(tmp_path: Path) -> None:
    import transformers

    from tests.support.tiny import tiny_tokenizer

    config = transformers.LlamaConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, intermediate_size=48
    )
    config.vocab_size = len(tiny_tokenizer())
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "odd")
    tiny_tokenizer().save_pretrained(tmp_path / "odd")
    with pytest.raises(BadInput, match="no group of 32 or more weights divides the widths"):
        quantise_model(str(tmp_path / "odd"), PROMPTS, tmp_path / "out")
