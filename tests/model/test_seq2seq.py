import json
import math
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.reply import ballot_from_reply
from quorum.config import from_table
from quorum.errors import BadInput
from quorum.evaluation.compare import compare_runs
from quorum.files.solution import SolvedRow
from quorum.model.backend import open_backend
from quorum.model.seq2seq import Seq2seq, Seq2seqSettings
from quorum.question import Message, Prompt, letters
from quorum.train.row import TrainingRow
from quorum.train.seq2seq import tune_seq2seq
from quorum.train.settings import Seq2seqTuning
from tests.support.paths import KERNELS, ROOT
from tests.support.tiny import tiny_tokenizer
from tests.support.tiny_t5 import ROWS, TUNING, t5_folder, taking, tiny_t5, tuning_of


def backend(**changed):
    return open_backend({"name": "seq2seq", "model": str(t5_folder()), "device": "cpu", **changed})


@cache
def letter_backend():
    return backend(batch_tokens=160)


def plainly(content, texts, parted):
    """Each text's log-probability by one plain call of the model, over all its tokens or to where they part."""
    import torch

    loaded = letter_backend()
    source = torch.tensor([loaded.tokens.tokenizer(content).input_ids])
    whole = [[*loaded.tokens.tokenizer(text).input_ids, loaded.tokens.tokenizer.eos_token_id] for text in texts]
    parts = next(place for place in range(99) if len({ids[place] for ids in whole}) > 1)
    if parted and len({ids[parts] for ids in whole}) == len(whole):
        whole = [ids[: parts + 1] for ids in whole]
    sums = []
    for ids in whole:
        read = torch.tensor([[loaded.model.config.decoder_start_token_id, *ids[:-1]]])
        with torch.inference_mode():
            logits = loaded.model(input_ids=source, decoder_input_ids=read).logits[0]
        logprobs = logits.log_softmax(-1)
        sums.append(sum(float(logprobs[place, token]) for place, token in enumerate(ids)))
    return sums


def normal(scores):
    import torch

    return torch.tensor(scores).log_softmax(0).tolist()


LABELS = st.sampled_from(
    [letters(2), letters(5), letters(26), ("TRUE", "FALSE"), ("1", "10", "12"), ("10", "11", "2"), ("AB", "AC")]
)
CONTENT = st.text("abc XYZ.\n", min_size=1, max_size=60)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(CONTENT, LABELS), min_size=1, max_size=6))
def test_labels_in_a_batch_score_as_each_prompt_alone_does(asked):
    prompts = [Prompt(question_id=str(n), content=content, labels=labels) for n, (content, labels) in enumerate(asked)]
    for prompt, reply in zip(prompts, letter_backend().answer(prompts), strict=True):
        expected = normal(plainly(prompt.content, prompt.labels, parted=True))
        assert [reply.label_logprobs[label] for label in prompt.labels] == pytest.approx(expected, abs=1e-3)
        assert reply.label_logprobs[reply.text] == max(reply.label_logprobs.values())


def test_options_score_by_their_whole_text_and_equal_ones_alike():
    options = ("a red fox", "no", "a red fox")
    prompt = Prompt(question_id="q", content="Which?", labels=letters(3), options=options)
    sums = plainly("Which?", options, parted=False)
    found = backend(method="option").answer([prompt])[0].label_logprobs
    assert list(found.values()) == pytest.approx(normal(sums), abs=1e-4)
    assert found["A"] == pytest.approx(found["C"], abs=1e-6)
    lengths = [len(tiny_tokenizer()(option).input_ids) + 1 for option in options]
    found = backend(method="option", normalise="token").answer([prompt])[0].label_logprobs
    means = [value / length for value, length in zip(sums, lengths, strict=True)]
    assert list(found.values()) == pytest.approx(normal(means), abs=1e-4)


def test_equal_prompts_are_encoded_once():
    loaded, calls = letter_backend(), []
    hook = loaded.model.get_encoder().register_forward_hook(lambda module, given, made: calls.append(len(made[0])))
    try:
        loaded.answer(
            [
                Prompt(question_id="q", content="Which one?", labels=("1", "10", "12")),
                Prompt(question_id="q", content="Which one?", labels=letters(4), repeat=1),
            ]
        )
    finally:
        hook.remove()
    assert calls == [1]


def test_prompts_of_similar_length_share_a_batch_and_replies_keep_their_order():
    prompts = [Prompt(question_id=str(n), content="word " * n, labels=letters(3)) for n in (1, 30, 2, 29, 3)]
    together = letter_backend().answer(prompts)
    for prompt, reply in zip(prompts, together, strict=True):
        alone = letter_backend().answer([prompt])[0]
        assert dict(reply.label_logprobs) == pytest.approx(dict(alone.label_logprobs), abs=1e-4)


def test_an_open_question_among_others_is_generated():
    loaded = backend(max_new_tokens=5)
    replies = loaded.answer(
        [
            Prompt(question_id="open", content="2 + 2?", labels=()),
            Prompt(question_id="closed", content="Which?", labels=letters(2)),
        ]
    )
    assert replies[0].label_logprobs is None
    assert replies[1].label_logprobs is not None
    import torch

    source = torch.tensor([loaded.tokens.tokenizer("2 + 2?").input_ids])
    with torch.inference_mode():
        ids = loaded.model.generate(source, max_new_tokens=5, do_sample=False)[0]
    assert replies[0].text == loaded.tokens.tokenizer.decode(ids, skip_special_tokens=True)


def test_a_sampled_vote_is_the_same_in_any_batch_and_another_one_by_its_repeat():
    sampling = {"method": "generate", "temperature": 1.0, "max_new_tokens": 8}
    votes = [Prompt(question_id="q", content="Which?", labels=letters(4), repeat=repeat) for repeat in range(4)]
    others = [Prompt(question_id="x", content="Something longer than that?", labels=letters(4))]
    together = [reply.text for reply in backend(**sampling).answer([*others, *votes])][1:]
    alone = [backend(**sampling).answer([vote])[0].text for vote in votes[:2]]
    assert together[:2] == alone
    assert len(set(together)) > 1


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_a_generated_reply_keeps_special_tokens_and_says_whether_it_was_cut(kind, tmp_path):
    folder = t5_folder() if kind == "t5" else tiny_bart(tmp_path)
    settings = Seq2seqSettings(model=str(folder), method="generate", temperature=2.0, max_new_tokens=6)
    loaded = Seq2seq(settings)
    loaded.model.generation_config.eos_token_id = [1, *range(40, 600, 7)]  # many tokens end a reply
    votes = [Prompt(question_id="q", content="Which?", labels=(), repeat=repeat) for repeat in range(400)]
    replies = loaded.answer(votes)
    cut, ended = ([reply for reply in replies if reply.finish == finish] for finish in ("length", "stop"))
    assert (len(cut) + len(ended), bool(cut), bool(ended)) == (400, True, True)
    assert {reply.tokens for reply in cut} == {5 if kind == "bart" else 6}  # BART's first token is not its choice
    assert {reply.tokens for reply in ended} == set(range(1, 6 if kind == "bart" else 7))
    assert any("<|im_" in reply.text for reply in replies)
    assert not any("</s>" in reply.text or "<pad>" in reply.text for reply in replies)


def tiny_bart(folder):
    """A random BART, which starts every text with <s> and is configured to end one at the limit with </s>."""
    tokenizer = tiny_tokenizer()
    sizes: dict[str, Any] = dict.fromkeys(
        ("encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads"), 2
    )
    sizes |= {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}
    ids: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.BartConfig(vocab_size=len(tokenizer), init_std=0.3, forced_eos_token_id=1, **sizes, **ids)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.BartForConditionalGeneration(config)
    model.generation_config.forced_bos_token_id, model.generation_config.forced_eos_token_id = 0, 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_labels_mass_is_their_probability_among_all_tokens():
    (reply,) = letter_backend().answer([Prompt(question_id="q", content="Which?", labels=letters(4))])
    sums = plainly("Which?", letters(4), parted=True)
    assert reply.label_mass == pytest.approx(sum(map(math.exp, sums)), abs=1e-5)


def test_the_middle_of_a_long_prompt_is_left_out_and_counted():
    loaded = backend(context_tokens=16)
    replies = loaded.answer(
        [Prompt(question_id="q", content=f"Begin {'word ' * n}end:", labels=letters(2)) for n in (100, 200)]
    )
    assert loaded.shortened == 2
    assert replies[0].label_logprobs == pytest.approx(replies[1].label_logprobs, abs=1e-5)


def test_turns_are_joined_and_text_that_spells_a_special_token_is_only_text():
    turns = (Message("system", "Be brief."), Message("user", "Which </s> one?"))
    loaded = letter_backend()
    ids = loaded._encode_source(Prompt(question_id="q", content=turns, labels=letters(2)))
    assert loaded.tokens.tokenizer.eos_token_id not in ids
    assert loaded.tokens.tokenizer.decode(ids) == "Be brief.\n\nWhich < /s> one?"


def test_no_prompts_are_no_replies():
    assert letter_backend().answer([]) == []


def test_a_missing_model_is_refused_with_a_hint():
    with pytest.raises(BadInput, match="no such folder; name a folder with"):
        Seq2seq(Seq2seqSettings(model="/nowhere/t5"))


def test_a_context_beyond_the_models_limit_is_refused():
    with pytest.raises(BadInput, match="context of 2 tokens; allowed are 4 to"):
        backend(context_tokens=2)


HELD_OUT = [taking(f"h{number}") for number in range(100)]


def quietly(done, total):
    pass


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seq2seq")
    return tune_seq2seq(tuning_of(folder / "base"), ROWS, folder / "out", quietly)


def ballots_by(model):
    prompts = [row.prompt for row in HELD_OUT]
    replies = open_backend({"name": "seq2seq", "model": str(model), "device": "cpu"}).answer(prompts)
    return {
        prompt.question_id: ballot_from_reply(reply, prompt) for prompt, reply in zip(prompts, replies, strict=True)
    }


def test_a_tiny_t5_learns_the_letters_of_its_rows(learnt):
    runs = {"learnt": ballots_by(learnt.folder), "new": ballots_by(learnt.folder.parents[1] / "base")}
    solution = [SolvedRow(id=row.prompt.question_id, answer=row.answer) for row in HELD_OUT]
    pair = compare_runs(runs, solution).pairs[0]
    assert pair.difference > 0.4
    assert pair.p < 0.01


def test_the_files_that_a_training_writes(learnt):
    out = learnt.folder.parent
    assert learnt.steps == 60
    assert learnt.losses[-1][1] < learnt.losses[0][1]
    assert 60 * 32 * 5 < learnt.tokens < 60 * 32 * 20
    assert (learnt.folder / "model.safetensors").is_file()
    assert not list(learnt.folder.glob("*.bin"))  # no pickle
    assert "learning_rate = 0.003" in (learnt.folder / "README.md").read_text()
    assert json.loads((out / "loss.json").read_text())["steps"] == 60
    assert (out / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["checkpoint-50", "checkpoint-60"]
    assert (out / "target.txt").read_text().endswith(f"{ROWS[0].completion}</s>\n")


@pytest.mark.slow
def test_after_kill_9_a_training_resumes_from_its_last_checkpoint_and_ends_the_same(learnt, tmp_path):
    base, out = learnt.folder.parents[1] / "base", tmp_path / "out"
    program = f"from tests.support.tiny_t5 import train_and_die; train_and_die({str(base)!r}, {str(out)!r})"
    died = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    steps = []
    resumed = tune_seq2seq(replace(TUNING, model=str(base)), ROWS, out, lambda done, total: steps.append(done))
    assert steps[0] == 31
    assert [step for step, _ in resumed.losses] == [step for step, _ in learnt.losses]
    assert [loss for _, loss in resumed.losses] == pytest.approx([loss for _, loss in learnt.losses], abs=1e-4)


def test_another_training_in_the_same_folder_is_refused(learnt):
    changed = replace(TUNING, model=str(learnt.folder.parents[1] / "base"), seed=1)
    with pytest.raises(BadInput, match="differs in seed"):
        tune_seq2seq(changed, ROWS, learnt.folder.parent, quietly)


def test_a_smoke_run_takes_four_steps(learnt, tmp_path):
    smoke = replace(TUNING, model=str(learnt.folder.parents[1] / "base"), smoke=True)
    assert tune_seq2seq(smoke, ROWS, tmp_path, quietly).steps == 4


def test_an_answer_that_the_vocabulary_can_not_write_is_refused_with_its_row(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path / "base"
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "A": 3, "B": 4}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tiny_t5(vocab_size=5, eos_token_id=1, pad_token_id=0, decoder_start_token_id=0).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    ).save_pretrained(folder)
    row = TrainingRow(Prompt(question_id="q7", content="A B", labels=letters(2), options=("one", "two")), "A", "one")
    with pytest.raises(BadInput, match="question q7: the model's vocabulary cannot write 'one'"):
        tune_seq2seq(Seq2seqTuning(model=str(folder)), [row], tmp_path / "out", quietly)


def test_the_preset_has_settings_of_the_trainer_and_what_it_trains_is_what_the_kernel_asks():
    train, infer = (tomllib.loads((KERNELS / f"{name}.toml").read_text()) for name in ("train-flan-t5", "flan-t5"))
    assert train["trainer"].pop("name") == infer["backend"]["name"] == "seq2seq"
    assert from_table(Seq2seqTuning, train["trainer"], "train-flan-t5.toml").model == "google/flan-t5-base"
    assert infer["backend"]["model"] == f"{train['out']}/model"


def test_missing_rows_are_refused_before_a_model_is_loaded(tmp_path):
    with pytest.raises(BadInput, match="there are no rows to train on"):
        tune_seq2seq(Seq2seqTuning(), [], tmp_path, quietly)


@pytest.mark.parametrize(
    "setting", [{"batch": 0}, {"steps": -5}, {"warmup": -3.0}, {"log_every": 0}, {"max_tokens": 0}]
)
def test_a_setting_out_of_its_range_is_refused(setting):
    (name,) = setting
    with pytest.raises(BadInput, match=f"trainer 'seq2seq': {name} is .*, allowed is"):
        Seq2seqTuning(**setting)


def test_truncated_prompts_are_reported(tmp_path):
    said: list[str] = []
    tuning = Seq2seqTuning(model=str(t5_folder()), steps=1, max_tokens=8)
    rows = [TrainingRow(Prompt(question_id="q", content="Which of these is it?" * 4, labels=("A", "B")), "A", "A")] * 2
    tune_seq2seq(tuning, rows, tmp_path, lambda done, total: None, said.append)
    assert len(said) == 1
    assert said[0].startswith("2 of 2 prompts are longer than 8 tokens")
