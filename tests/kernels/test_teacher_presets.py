"""The presets of learning from a teacher: their settings exist, and their trainers."""

import pytest

from quorum.config import from_table, read_table
from quorum.train.settings import CausalTuning, EncoderTuning, TrainSettings
from quorum.train.teacher_settings import GrpoTuning
from tests.support.paths import KERNELS


@pytest.mark.parametrize(
    ("name", "tuning"), [("train-soft", EncoderTuning), ("train-replies", CausalTuning), ("train-reward", GrpoTuning)]
)
def test_a_preset_has_settings_of_its_trainer(name: str, tuning: type) -> None:
    settings = from_table(TrainSettings, read_table(KERNELS / f"{name}.toml"), name)
    assert settings.run == name
    trainer = {key: value for key, value in settings.trainer.items() if key != "name"}
    assert from_table(tuning, trainer, name)
    assert settings.teacher.answers or settings.rows.replies.files or tuning is GrpoTuning
