import pytest

from tests.support.kernel_folder import SAMPLE, TEST, TRAIN


@pytest.fixture
def folder(tmp_path):
    for name, text in (("train.csv", TRAIN), ("test.csv", TEST), ("sample.csv", SAMPLE)):
        (tmp_path / name).write_text(text)
    return tmp_path
