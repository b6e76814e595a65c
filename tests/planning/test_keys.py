"""Fields that change a key, and fields that do not: between reusing a result and trusting a wrong one."""

import json
import shutil
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.config.keys import Digests, digest
from drnbench.config.overrides import apply
from drnbench.planning.keys import Keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("cache"))


def trial(**overrides):
    data = Data("photos/train", crop=96)
    stages = [
        Stage("pretrain", scheme="paired", data=data, steps=5, patch=32),
        Stage(
            "adapt",
            scheme="unpaired",
            rho=0.3,
            data=data,
            unpaired=Data("photos/unpaired", kernel="bd"),
            steps=5,
            patch=32,
        ),
    ]
    base = Trial(model={"n_blocks": 1, "n_feats": 2}, scale=4, stages=stages, evaluate=[Evaluate("photos/test")])
    return apply(base, overrides, "test")


def stage_keys(keys, t):
    return [unit.key for unit in keys.stages(t, "test")]


def evaluation_keys(keys, t):
    return {e.key for e in keys.evaluation(t, keys.stages(t, "test"), "test").wanted}


@pytest.mark.parametrize(
    "overrides",
    [
        {"adapt.lam": 1.0}, {"adapt.rho": 0.5}, {"adapt.steps": 6}, {"adapt.lr": 2e-4}, {"adapt.batch": 4}, {"adapt.dual": "level"},
        {"adapt.threads": 2}, {"adapt.precision": "bf16"}, {"adapt.precision": "tf32"}, {"adapt.channels_last": True},
        {"adapt.compile": True},
        {"adapt.unpaired.kernel": "bd:sigma=2.0"}, {"adapt.data.kernel": "nearest"},
        {"adapt.data.crop": 128}, {"adapt.holdout": 2}, {"adapt.unpaired.source": "photos/test"}, {"adapt.augment": False},
    ],
)  # fmt: skip
def test_fields_that_affect_weights_change_the_key_of_their_stage_alone(keys, overrides):
    before, after = stage_keys(keys, trial()), stage_keys(keys, trial(**overrides))
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "overrides", [{"pretrain.steps": 6}, {"model.n_feats": 4}, {"scale": 2}, {"pretrain.lam": 0.5}]
)
def test_a_change_in_a_stage_changes_the_keys_of_later_stages(keys, overrides):
    before, after = stage_keys(keys, trial()), stage_keys(keys, trial(**overrides))
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_seed_changes_all_keys(keys):
    assert not set(stage_keys(keys, trial())) & set(stage_keys(keys, trial().model_copy(update={"seed": 1})))


@pytest.mark.parametrize(
    "overrides",
    [
        {"evaluate": [Evaluate("photos/test", metrics=["psnr_y"])]},
        {"evaluate": [Evaluate("photos/unpaired", kernel="bd")]},
        {"protocol.y_round": True},
        {"pretrain.rho": 0.0, "pretrain.dual": "level"},
        {"pretrain.unpaired": Data("photos/unpaired")},
        {"pretrain.recompute": True, "adapt.recompute": True},
    ],
)
def test_fields_that_affect_no_weight_keep_the_keys_of_stages(keys, overrides):
    assert stage_keys(keys, trial()) == stage_keys(keys, trial(**overrides))


def test_fields_count_only_where_the_scheme_uses_them(keys):
    plain = {"adapt.scheme": "supervised", "adapt.rho": 0.0}
    assert stage_keys(keys, trial(**plain)) == stage_keys(keys, trial(**plain, **{"adapt.lam": 9.0}))
    # ρ = 0 lets no unpaired image in, so which ones would have come means nothing.
    none = {"adapt.rho": 0.0}
    assert stage_keys(keys, trial(**none)) == stage_keys(keys, trial(**none, **{"adapt.unpaired.kernel": "nearest"}))


def test_names_of_stages_and_presets_are_not_in_the_key(keys):
    renamed = trial().model_copy(
        update={"stages": tuple(s.model_copy(update={"name": s.name + "2"}) for s in trial().stages)}
    )
    assert stage_keys(keys, trial()) == stage_keys(keys, renamed)
    preset = trial(method="drn-s", model={})
    free = trial(method="drn", model={"n_blocks": 30, "n_feats": 16})
    assert stage_keys(keys, preset) == stage_keys(keys, free)


def test_the_default_of_a_method_and_its_name_written_out_are_one(keys):
    assert stage_keys(keys, trial(**{"pretrain.scheme": None})) == stage_keys(keys, trial())
    other = trial(method="no-dual", **{"pretrain.scheme": None})
    assert keys.stages(other, "test")[0].stage.scheme == "supervised"


def test_data_count_by_pixels_and_not_by_path(keys, tmp_path):
    from drnbench.datasets.photos import photos

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name, path in photos("test")[:3]:
            shutil.copy(path, tmp_path / folder / f"{name}.png")
    first, second = ({"adapt.data.source": str(tmp_path / f)} for f in ("a", "b"))
    assert stage_keys(keys, trial(**first)) == stage_keys(keys, trial(**second))
    (tmp_path / "b" / "camera.png").unlink()
    fresh = Keys(keys.cache)
    assert stage_keys(fresh, trial(**first)) != stage_keys(fresh, trial(**second, **{"adapt.holdout": 1}))


@pytest.mark.parametrize(
    "overrides",
    [{"evaluate.0.kernel": "bd"}, {"evaluate.0.crop": 32}, {"evaluate.0.source": "photos/train"}, {"protocol.y_round": True},
     {"protocol.border": 0}, {"adapt.rho": 0.5}],
)  # fmt: skip
def test_fields_that_affect_a_score_change_its_key(keys, overrides):
    assert not evaluation_keys(keys, trial()) & evaluation_keys(keys, trial(**overrides))


def test_another_metric_leaves_the_first_ones_key(keys):
    single = trial(evaluate=[Evaluate("photos/test", metrics=["psnr_y"])])
    assert evaluation_keys(keys, single) < evaluation_keys(keys, trial())


def test_spelling_a_kernel_out_changes_nothing(keys):
    assert evaluation_keys(keys, trial()) == evaluation_keys(
        keys, trial(**{"evaluate.0.kernel": "bicubic:border=symmetric"})
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8,
)  # fmt: skip


@given(content=st.dictionaries(st.text(min_size=1), json_values, max_size=5))
@settings(max_examples=80, deadline=None)
def test_a_digest_survives_json_and_order(content):
    key = digest(content)
    assert len(key) == 64
    assert digest(json.loads(json.dumps(content))) == key
    assert digest(dict(reversed(content.items()))) == key


@given(
    shared=st.dictionaries(st.text(min_size=1), json_values, max_size=4),
    own=st.dictionaries(st.sampled_from(["seed", "depth", "before"]), json_values, min_size=1),
)
@settings(max_examples=80, deadline=None)
def test_digests_of_many_are_those_of_one(shared, own):
    keys = Digests(shared, *own)
    assert keys.of(**own) == digest({**shared, **own})
    assert keys.of(**dict.fromkeys(own, "x")) == digest({**shared, **dict.fromkeys(own, "x")})


@given(rho=st.fractions(0, 1, max_denominator=1000).map(float))
@settings(max_examples=50, deadline=None)
def test_whole_numbers_and_floats_are_one_value(rho):
    stage = {"name": "a", "data": Data("x"), "steps": 1}
    assert Stage(**stage, rho=rho).model_dump() == Stage(**stage, rho=int(rho) if rho == int(rho) else rho).model_dump()
    assert Fraction(repr(Stage(**stage, rho=rho).rho)) == Fraction(repr(rho))


def test_options_of_adversarial_schemes_that_came_later_are_in_a_key_where_they_are_set(tmp_path):
    def key(**options):
        stage = Stage(
            "s", scheme="cyclegan", data=Data("photos/train"), unpaired=Data("photos/unpaired"), patch=16, steps=6, batch=3,
            options={"d_feats": 2, "f_blocks": 1, "f_feats": 4, **options},
        )  # fmt: skip
        trial = Trial(method="cyclegan", model={"n_blocks": 1, "n_feats": 4}, scale=2, stages=[stage],
                      evaluate=[Evaluate("photos/test")])  # fmt: skip
        return Keys(tmp_path).stages(trial, "s")[0].key

    plain = key()
    assert key(sigmoid=False, init="pytorch", g_steps=1) == plain
    assert len({plain, key(sigmoid=True), key(init="normal"), key(g_steps=2)}) == 4
