"""Values of NumPy, paths and generators in study files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench import Axis, Data, Evaluate, Exclude, Stage, Study, Trial
from drnbench.config.keys import canonical_json, digest
from drnbench.config.plain import plain
from drnbench.errors import UsageError
from drnbench.planning.expand import expand

STAGE = Stage("adapt", scheme="unpaired", data=Data("photos/train"), unpaired=Data("photos/unpaired"), steps=100)
BASE = Trial(stages=[STAGE], evaluate=[Evaluate("photos/test")])


def arms(study):
    return [arm.name for arm in expand(study, "s", "?").arms]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_of_numpy_has_the_key_of_pythons(number):
    assert digest({"x": plain(np.float64(number))}) == digest({"x": number})
    assert type(plain(np.float64(number))) is float


@given(st.decimals(0, 10, places=3))
def test_single_precision_is_the_decimal_that_was_written(number):
    assert plain(np.float32(float(number))) == float(number)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False), st.lists))
def test_plain_values_stay_as_they_are(value):
    assert plain(value) == value
    assert canonical_json(plain([1, "a"])) == canonical_json([1, "a"])


def test_fields_take_numpys_numbers_text_and_arrays_and_paths():
    stage = Stage(
        np.str_("train"), data=Data(Path("photos/train"), count=np.int64(2)), steps=np.int32(3), lr=np.float32(2e-3),
        augment=np.bool_(False), betas=np.array([0.9, 0.99]), weights=Path("a") / "b.pt",
    )  # fmt: skip
    same = Stage(
        "train",
        data=Data("photos/train", count=2),
        steps=3,
        lr=2e-3,
        augment=False,
        betas=(0.9, 0.99),
        weights="a/b.pt",
    )
    assert stage == same
    assert canonical_json(stage.model_dump()) == canonical_json(same.model_dump())
    trial = Trial(
        model={"n_feats": np.uint8(4)}, scale=np.int64(2), stages=(s for s in [stage]), evaluate=BASE.evaluate
    )
    assert trial.model == {"n_feats": 4}
    assert trial.stages == (same,)


@pytest.mark.parametrize("values", [range(3), np.arange(3), (n for n in range(3)), (0, 1, 2), np.arange(3, dtype="u1")])
def test_an_axis_takes_any_sequence(values):
    axis = Axis("train.batch", values)
    assert axis.values == (0, 1, 2)
    assert {type(value) for value in axis.values} == {int}


def test_cells_are_found_on_an_axis_within_rounding():
    study = Study(
        base=BASE, axes=[Axis("adapt.rho", np.arange(0, 0.5, 0.1), label="ρ")], seeds=np.int64(1),
        baseline={"adapt.rho": 0.3}, control={"adapt.rho": np.float32(0.1)}, primary={"adapt.rho": 0.4},
        exclude=[Exclude({"adapt.rho": [0.2]}, "for the test")],
    )  # fmt: skip
    expanded = expand(study, "s", "?")
    assert arms(study) == ["ρ=0", "ρ=0.1", "ρ=0.2", "ρ=0.3", "ρ=0.4", "bicubic"]
    assert expanded.baseline == "ρ=0.3"
    assert [len(arm.trials) for arm in expanded.arms[:5]] == [1, 1, 0, 1, 1]
    assert expanded.arms[3].trials[0].stages[0].rho == 3 * 0.1  # the value itself stays


def test_other_numbers_are_not_on_the_axis():
    with pytest.raises(Exception, match=r"0\.3001 is not on the axis"):
        Study(base=BASE, axes=[Axis("adapt.rho", np.arange(0, 0.5, 0.1))], baseline={"adapt.rho": 0.3001})


def test_overrides_of_a_program_take_numpys_numbers():
    study = Study(base=BASE, axes=[Axis("adapt.rho", [0, 0.5])], seeds=1, baseline={"adapt.rho": 0})
    trial = expand(study, "s", "?", sets={"adapt.steps": np.int64(7), "model.n_feats": np.int64(4)}).arms[0].trials[0]
    assert (trial.stages[0].steps, trial.model) == (7, {"n_feats": 4})
    assert type(trial.model["n_feats"]) is int
    with pytest.raises(UsageError, match="steps"):
        expand(study, "s", "?", sets={"adapt.steps": np.float64(7.5)})
