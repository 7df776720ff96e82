import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold  # type: ignore[import-untyped]

from quorum.data.stratify import divide_groups


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 20), st.integers(2, 12), st.integers(20, 200), st.integers(0, 99), st.randoms())
def test_the_parts_are_those_of_scikit_learn(parts, strata, items, seed, chance):
    stratum = [chance.randrange(strata) for _ in range(items)] + list(range(strata)) * parts
    group = [chance.randrange(items) for _ in stratum]
    expected = np.zeros(len(stratum), dtype=np.int64)
    folder = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    if len(set(group)) < parts:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part, (_, indices) in enumerate(folder.split(group, stratum, group)):
            expected[indices] = part
    assert divide_groups(stratum, group, parts, seed).tolist() == expected.tolist()


def test_a_large_file_is_divided_evenly():
    chance = np.random.default_rng(1)
    stratum = chance.integers(8, size=20_000)
    part = divide_groups(stratum.tolist(), [item // 2 for item in range(20_000)], 5, seed=1)
    counts = np.zeros((5, 8))
    np.add.at(counts, (part, stratum), 1)
    assert (abs(counts - counts.mean(axis=0)) <= 2).all()
    assert (part[::2] == part[1::2]).all()
