"""A search becomes arms with fresh seeds, and one that would look at what it reports is refused."""

import pytest

from drnbench import Axis, Curve, Evaluate
from drnbench.config.study import Until
from drnbench.errors import UsageError
from drnbench.search import Choice, Float, Int, Maximise, Median, Minimise, Steps
from drnbench.search.resolve import expanded, resolve_search, signature
from tests.helpers import expand_study
from tests.search.studyfile import study


def settled(search=None, profile="quick", sets=None, **fields):
    return resolve_search(study(search, **fields), "s", "?", profile, sets)


def seeds(arms):
    return {arm.name: [trial.seed for trial in arm.trials] for arm in arms if arm.kind != "reference"}


def test_what_is_reported_has_seeds_that_no_candidate_had():
    made = settled(arms={"true pairs": {"adapt.scheme": "paired", "adapt.rho": 0}})
    plan = expanded(made, [{"adapt.lam": 0.02, "adapt.rho": 0.9}])
    assert seeds(plan.arms) == {"default": [2, 3, 4], "winner": [2, 3, 4], "true pairs": [2, 3, 4]}
    assert {made.trial({}, seed).seed for seed in range(made.search.seeds)} == {0, 1}
    assert plan.baseline == "default"
    winner = next(arm for arm in plan.arms if arm.name == "winner").trials[0]
    assert (winner.stages[1].lam, winner.stages[1].rho) == (0.02, 0.9)
    assert winner.evaluate == study().base.evaluate


def test_before_anything_is_found_the_default_stands_alone():
    plan = expand_study(study(), "s", "?")
    assert seeds(plan.arms) == {"default": [2, 3, 4]}


def test_a_winner_that_is_the_default_is_no_second_arm():
    plan = expanded(settled(), [{"adapt.lam": 0.1, "adapt.rho": 0.5}])
    assert seeds(plan.arms) == {"default": [2, 3, 4]}


def test_members_of_a_front_have_names_that_stay():
    made = settled({"objectives": [Maximise("val_psnr_y", kernel="bd"), Minimise("parameters")]})
    plan = expanded(made, [{"adapt.lam": 0.02, "adapt.rho": 0.9}, {"adapt.lam": 0.5, "adapt.rho": 0.1}])
    assert list(seeds(plan.arms)) == ["default", "front 1", "front 2"]


def test_candidates_are_scored_on_the_images_of_the_search_alone():
    made = settled({"objectives": [Maximise("psnr_y", "photos/unpaired", kernel="bd", crop=64, count=2)]})
    (evaluate,) = made.trial({"adapt.lam": 0.3}, 1).evaluate
    assert evaluate == Evaluate("photos/unpaired", kernel="bd", crop=64, count=2, metrics=("psnr_y",))


def test_lr_consistency_looks_at_the_unpaired_images_unless_it_names_others():
    (objective,) = settled({"objectives": [Maximise("lr_psnr")]}).search.objectives
    assert (objective.source, objective.kernel, objective.crop) == ("photos/unpaired", "bd", 96)
    (objective,) = settled({"objectives": [Maximise("lr_psnr", "T91", kernel="nearest")]}).search.objectives
    assert (objective.source, objective.kernel) == ("T91", "nearest")
    with pytest.raises(UsageError, match="wants the images to score"):
        settled({"objectives": [Maximise("psnr_y")]})


def test_a_named_choice_sets_what_it_names():
    space = {"loss": Choice({"off": {"adapt.scheme": "supervised", "adapt.rho": 0}, "on": {"adapt.rho": 0.5}})}
    made = settled({"space": space}, baseline={"loss": "on"})
    assert made.trial({"loss": "off"}, 0).stages[1].scheme == "supervised"
    assert made.label({"loss": "off"}) == "loss=off"


def test_steps_of_whole_numbers_can_be_sizes_of_a_model(tmp_path):
    made = settled({"space": {"model.n_feats": Steps(2, 8, 2)}}, baseline={"model.n_feats": 4})
    drawn = made.search.space["model.n_feats"].snapped(5.9)
    assert (drawn, type(drawn)) == (6, int)
    assert type(Steps(0.5, 2.5, 0.5).snapped(1.1)) is float
    assert signature(made, tmp_path)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.n_feats": Float(2, 8)}, r"search space, n_feats=2: .*'n_feats' must be a valid integer"),
        ({"model.n_feats": Choice([2, 4, "many"])}, r"search space, n_feats=many: .*'n_feats' must be a valid integer"),
        ({"*.patch": Int(33, 64)}, r"search space, patch=33, pretrain\.patch: 33 is not a multiple of the scale 2"),
    ],
)
def test_a_space_of_values_that_no_candidate_can_have_is_refused(space, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        signature(settled({"space": space}), tmp_path)


def test_profiles_and_sets_change_the_sizes_of_a_search():
    assert settled(profile="tiny").search.trials == 4
    assert settled(profile="tiny", profiles={"tiny": {"search.trials": 5}}).search.trials == 5
    made = settled(profile="tiny", sets={"search.trials": 9, "search.fresh_seeds": 4, "adapt.steps": 2})
    assert (made.search.trials, made.base.stages[1].steps) == (9, 2)
    assert seeds(expanded(made).arms) == {"default": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("search", "fields", "message"),
    [
        ({"objectives": [Maximise("psnr_y", "photos/test")]}, {}, "the search must not look at it"),
        ({"objectives": [Maximise("psnr_y")]}, {}, "wants the images to score"),
        ({"objectives": [Maximise("psnry", "photos/unpaired")]}, {}, "did you mean 'psnr_y'"),
        ({"objectives": [Minimise("psnr_y", "photos/unpaired")]}, {}, "higher is better: Maximise it"),
        ({"space": {"adapt.lamm": Steps(0, 1, 0.5)}}, {}, "no such"),
        ({}, {"profile": "paper"}, "unknown profile 'paper'"),
        ({}, {"sets": {"adapt.lam": 1}}, "the search sets this path"),
        ({}, {"sets": {"seeds": 4}}, "search.fresh_seeds"),
        ({}, {"sets": {"seeds": "until"}}, "search.fresh_seeds"),
        ({}, {"sets": {"seeds.half_width": 0.05, "seeds.at_most": 5}}, "search.fresh_seeds"),
        ({}, {"sets": {"search.trails": 4}}, "did you mean 'trials'"),
        ({}, {"sets": {"search.trials": 0}}, "trials"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, fields, message):
    with pytest.raises(UsageError, match=message):
        settled(search, **fields)


@pytest.mark.parametrize("objectives", [[Maximise("val_psnr_y")], [Minimise("parameters")]])
def test_validation_must_be_there_where_it_is_looked_at(objectives):
    base = study().base
    silent = base.model_copy(update={"stages": tuple(s.model_copy(update={"validations": 0}) for s in base.stages)})
    with pytest.raises(UsageError, match="validations"):
        settled({"objectives": objectives, "pruner": Median()}, base=silent)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"axes": [Axis("adapt.rho", [0, 1])]}, "has no axes"),
        ({"seeds": 4}, "fresh_seeds"),
        ({"seeds": Until(0.05)}, "fresh_seeds"),
        ({"outputs": [Curve(x="adapt.rho")]}, "a search has one, 'search'"),
        ({"control": "true pairs"}, "is a named arm"),
    ],
)
def test_a_study_is_a_grid_or_a_search(fields, message):
    with pytest.raises(UsageError, match=message):
        study(**fields)


def test_another_space_base_or_sampler_is_another_search_and_more_trials_are_not(tmp_path):
    first = signature(settled(), tmp_path)
    assert signature(settled({"trials": 9, "fresh_seeds": 5}), tmp_path) == first
    assert signature(settled(sets={"pretrain.steps": 3}), tmp_path) != first
    others = ({"seed": 1}, {"sampler": "random"}, {"seeds": 3}, {"space": {"adapt.lam": Int(1, 3)}})
    assert len({first, *(signature(settled(search), tmp_path) for search in others)}) == 5


def test_images_that_are_reported_under_another_name_are_found(tmp_path):
    both = [Evaluate("photos/test+photos/unpaired", kernel="bd", crop=48)]
    base = study().base.model_copy(update={"evaluate": tuple(both)})
    made = settled({"objectives": [Maximise("psnr_y", "photos/unpaired", kernel="bd")]}, base=base)
    with pytest.raises(UsageError, match="share images"):
        signature(made, tmp_path)
    train = study().base.model_copy(update={"evaluate": (Evaluate("photos/train", kernel="bd"),)})
    with pytest.raises(UsageError, match="the hold-out and the reported photos/train share images"):
        signature(settled(base=train), tmp_path)


def test_a_baseline_that_sets_what_is_not_searched_is_refused():
    with pytest.raises(UsageError, match=r"'adapt\.lr', which the search does not vary"):
        study(baseline={"adapt.lam": 0.1, "adapt.lr": 1e-3})
