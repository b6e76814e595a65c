"""Recipes of training in keys, refusals, overrides and words."""

import pytest

from drnbench import Axis, Data, Evaluate, Stage, Study, Trial
from drnbench.config.overrides import apply, parse_value
from drnbench.errors import UsageError
from drnbench.planning import make
from drnbench.planning.expand import expand
from drnbench.planning.keys import Keys
from drnbench.results.recipes import recipe, recipe_lines
from drnbench.store import Store


def make_trial(**fields):
    stage = Stage("s", **{"scheme": "paired", "data": Data("photos/train"), "steps": 100, "patch": 32, **fields})
    return Trial(model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[stage], evaluate=[Evaluate("photos/test")])


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    keys = Keys(tmp_path_factory.mktemp("cache"))
    return lambda **fields: keys.stages(make_trial(**fields), "here")[0].key


MULTISTEP = {"schedule": "multistep", "milestones": (0.5,)}
EQUAL = [
    ({}, {"warmup": 1}, {"gamma": 0.1}, {"score_ema": False}, {"optimiser": "adamw", "weight_decay": 0.0}, {"loss": {"l1": 1, "l2": 0}}),
    ({"loss": "l1+0.05*fft"}, {"loss": {"fft": 0.05, "l1": 1}}, {"loss": "1.0*l1 + 5e-2 * fft:norm=backward"}),
    (MULTISTEP, {**MULTISTEP, "milestones": [50]}, {**MULTISTEP, "milestones": [50.0], "lr_min": 1e-9}),
    ({"warmup": 10}, {"warmup": 0.1}), ({"optimiser": "adamw"}, {"optimiser": "adamw", "weight_decay": 0.01}),
    ({"scheme": "cyclegan", "unpaired": Data("photos/unpaired")},),
]  # fmt: skip
DIFFERENT = [
    {"ema": 0.9}, {"ema": 0.99}, {"ema": 0.9, "score_ema": False}, {"clip_norm": 1.0}, {"clip_value": 1.0}, {"loss": "l2"},
    {"loss": "charbonnier"}, {"loss": "charbonnier:eps=1"}, {"loss": "2*l1"}, {"loss": "fft:norm=ortho"}, {"loss": "fft"},
    {**MULTISTEP, "gamma": 0.1}, {**MULTISTEP, "milestones": (0.5, 0.6)}, {"optimiser": "adamw", "weight_decay": 0.1},
    {"schedule": "constant"}, {"schedule": "constant", "warmup": 0.1},
]  # fmt: skip


def test_equal_recipes_share_a_key_and_others_do_not(key):
    groups = [{key(**fields) for fields in group} for group in EQUAL]
    assert [len(group) for group in groups] == [1] * len(EQUAL)
    assert len(set().union(*groups) | {key(**fields) for fields in DIFFERENT}) == len(EQUAL) + len(DIFFERENT)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ema": -0.1}, "ema.*greater than or equal to 0"), ({"ema": 1.0}, "ema.*less than 1"),
        ({"clip_norm": 0.0}, "clip_norm.*greater than 0"), ({"clip_norm": 1.0, "clip_value": 1.0}, "by norm or by value"),
        ({"weight_decay": -1.0, "optimiser": "adamw"}, "weight_decay"), ({"weight_decay": 0.1}, "optimiser = 'adamw'"),
        ({"schedule": "multistep"}, "milestones: .*needs some"), ({"milestones": (0.5,)}, "milestones: .*'multistep'"),
        ({**MULTISTEP, "milestones": (0.75, 0.5)}, r"milestones: .*after.*0\.75, 0\.5"),
        ({**MULTISTEP, "milestones": (50, 0.4)}, "milestones: .*after"), ({**MULTISTEP, "milestones": (50, 50)}, "milestones"),
        ({**MULTISTEP, "milestones": (100,)}, "milestones: step 100 is not reached in the 100 steps"),
        ({**MULTISTEP, "milestones": (50.5,)}, "neither a whole number of steps nor a share"), ({**MULTISTEP, "gamma": 1.0}, "gamma"),
        ({"warmup": 101}, "warmup: 101 steps are more than the 100"), ({"warmup": -1}, "warmup"),
        ({"loss": "l3"}, "loss: unknown loss 'l3'.*l1"), ({"loss": {"l1": 0, "l2": 0}}, "every loss has weight 0"),
        ({"loss": {"l1": -1}}, "loss: .*'l1' must be a finite number of at least 0"), ({"loss": "l1+l1"}, "'l1' is given twice"),
        ({"loss": "fft+fft:norm=backward"}, "the same loss"), ({"loss": "0.1 fft"}, "unknown loss"),
        ({"loss": "x*fft"}, r"'x\*fft' is not weight\*loss"), ({"loss": "charbonnier:eps=0"}, "eps.*greater than 0"),
        ({"loss": "charbonnier:sigma=1"}, "sigma"), ({"loss": 3}, "takes losses with weights"),
        ({"loss": "l1+lpips", "patch": 16}, "patch: the loss 'lpips' needs patches of 31"),
        ({"scheme": "dual-fit", "unpaired": Data("photos/unpaired"), "ema": 0.9}, "does not train P"),
    ],
)  # fmt: skip
def test_bad_settings_are_one_line_before_any_work(key, fields, message):
    with pytest.raises(UsageError, match=message) as caught:
        key(**fields)
    assert "\n" not in str(caught.value)


def test_weights_that_lpips_lacks_are_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    study = Study(base=make_trial(loss="l1+0.1*lpips"), seeds=1)
    with pytest.raises(UsageError, match=r"s\.loss: LPIPS needs .*data fetch alexnet") as caught:
        make(expand(study, "study", "?"), Store(tmp_path / "r"))
    assert "\n" not in str(caught.value)


def test_a_loss_is_set_by_paths_axes_and_the_command_line():
    values = {"s.loss.fft": 0.05, "*.loss.l1": 2}
    assert apply(make_trial(), values, "here").stages[0].loss == "2*l1+0.05*fft"
    argument = parse_value('{"l1": 1, "charbonnier:eps=0.5": 0.5}')
    assert apply(make_trial(), {"s.loss": argument, "s.loss.l1": 0}, "here").stages[0].loss == "0.5*charbonnier:eps=0.5"
    axes = [Axis("s.loss.fft", [0, 0.05]), Axis("s.loss.l2", [0, 1.0])]
    arms = expand(Study(base=make_trial(), axes=axes, seeds=1), "study", "?").arms
    assert [arm.trials[0].stages[0].loss for arm in arms if arm.kind == "grid"] == [
        "l1", "l1+l2", "l1+0.05*fft", "l1+0.05*fft+l2",
    ]  # fmt: skip


def test_recipes_in_words_name_the_weights_that_are_scored():
    fields = {"ema": 0.999, "warmup": 0.1, "loss": "l1+0.05*fft", "optimiser": "adamw", "clip_norm": 2.5, **MULTISTEP}
    words = recipe(make_trial(**fields).stages[0].model_dump())
    for part in ("EMA 0.999 scored", "warm-up 10 steps", "l1+0.05*fft", "AdamW", "norm 2.5", "0.5 at step 50"):
        assert part in words
    plain = make_trial().stages[0].model_dump()
    kept = make_trial(ema=0.9, score_ema=False).stages[0].model_dump()
    assert recipe({"name": "s", "steps": 100}) == recipe(plain) == ""
    (line,) = recipe_lines([("a", plain), ("b", kept), ("c", kept)])
    assert line.startswith("s of b and c: EMA 0.9")
    assert "last-step weights scored" in line
