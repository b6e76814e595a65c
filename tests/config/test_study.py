"""A study becomes trials: grid, named arms, references, seeds, exclusions, profiles, overrides."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench import Axis, Data, Evaluate, Exclude, Primary, Ref, Stage, Study, Table, Trial
from drnbench.config.study import Until, build
from drnbench.config.studyfile import load
from drnbench.errors import UsageError
from drnbench.planning.expand import expand


def study(**fields):
    stage = Stage("adapt", scheme="unpaired", data=Data("photos/train"), unpaired=Data("photos/unpaired"), steps=100)
    base = Trial(stages=[stage], evaluate=[Evaluate("photos/test")])
    return build({"base": base, "axes": [Axis("adapt.rho", [0, 0.5], label="ρ")], **fields}, "test")


def names(expanded):
    return [(arm.name, arm.kind, [t.seed for t in arm.trials]) for arm in expanded.arms]


def test_grid_arms_references_and_seeds():
    out = expand(study(arms={"true pairs": {"adapt.scheme": "paired"}}, seeds=2, baseline={"adapt.rho": 0}), "s", "?")
    assert names(out) == [
        ("ρ=0", "grid", [0, 1]), ("ρ=0.5", "grid", [0, 1]), ("true pairs", "named", [0, 1]), ("bicubic", "reference", [0]),
    ]  # fmt: skip
    assert out.baseline == "ρ=0"
    assert out.arms[1].trials[0].stages[0].rho == 0.5
    assert out.arms[3].trials[0].stages == ()


def test_two_axes_make_their_product():
    out = expand(study(axes=[Axis("adapt.rho", [0, 1]), Axis("scale", [2, 4])], seeds=1), "s", "?")
    assert [arm.name for arm in out.arms] == [
        "rho=0, scale=2", "rho=0, scale=4", "rho=1, scale=2", "rho=1, scale=4", "bicubic x2", "bicubic x4",
    ]  # fmt: skip


def test_exclusions_keep_their_reason():
    rule = Exclude({"adapt.rho": [0.5], "seed": [1, 2]}, reason="one seed shows the trend")
    out = expand(study(exclude=[rule], seeds=3), "s", "?")
    assert [t.seed for t in out.arms[1].trials] == [0]
    assert out.arms[1].excluded == dict.fromkeys((1, 2), "one seed shows the trend")
    assert out.arms[0].excluded == {}


def test_a_named_arm_differs_from_the_baseline_by_its_overrides_alone():
    out = expand(study(arms={"a": {"adapt.lr": 1e-3}}, baseline={"adapt.rho": 0.5}, seeds=1), "s", "?")
    arm = {a.name: a.trials[0].stages[0] for a in out.arms if a.trials[0].stages}
    assert arm["a"].model_copy(update={"lr": arm["ρ=0.5"].lr}) == arm["ρ=0.5"]


def test_profiles_and_sets_apply_in_order():
    s = study(profiles={"small": {"adapt.steps": 7, "seeds": 1}, "mine": {"adapt.batch": 3}})
    assert expand(s, "s", "?", "small").arms[0].trials[0].stages[0].steps == 7
    assert len(expand(s, "s", "?", "small").arms[0].trials) == 1
    assert expand(s, "s", "?", "small", {"adapt.steps": 9}).arms[0].trials[0].stages[0].steps == 9
    assert expand(s, "s", "?", "mine").arms[0].trials[0].stages[0].batch == 3
    assert [len(expand(study(seeds=n), "s", "?", "tiny").arms[0].trials) for n in (1, 3)] == [1, 2]
    tiny = expand(s, "s", "?", "tiny").arms[0].trials[0].stages[0]
    assert (tiny.steps, tiny.data.crop, tiny.unpaired.crop) == (4, 96, 96)


def test_a_profile_that_the_study_does_not_declare_is_refused():
    s = study(profiles={"small": {"adapt.steps": 7}})
    with pytest.raises(UsageError, match=r"unknown profile 'paper'.*known: quick, small, tiny"):
        expand(s, "s", "?", "paper")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"baseline": {"adapt.rhoo": 0}}, "did you mean 'adapt.rho'"),
        ({"baseline": {"adapt.rho": 0.4}}, "is not on the axis: its values are 0, 0.5$"),
        ({"baseline": {"adapt.rho": 0}, "subject": {"adapt.rho": 0.4}}, "its values are 0, 0.5$"),
        ({"baseline": {"adapt.rho": 0}, "control": {"adapt.rho": 0.4}}, "its values are 0, 0.5$"),
        ({"baseline": {"adapt.rho": 0}, "primary": {"adapt.rho": 0.4}}, "its values are 0, 0.5$"),
        (
            {"baseline": {"adapt.rho": 0}, "primary": {"adapt.rho": 0}},
            "baseline itself.*another value of adapt.rho: 0.5$",
        ),
        (
            {"axes": [Axis("adpt.rho", [0])], "baseline": {"adapt.rho": 0}},
            "no such path 'adpt.rho': did you mean 'adapt'",
        ),
        ({"axes": [Axis("adapt.roh", [0])], "outputs": [Table(rows="adapt.rho")]}, "no such path 'adapt.roh'"),
        (
            {"axes": [Axis("adapt.roh", [0])], "profiles": {"quick": {"axes": {"adapt.rho": [0]}}}},
            "no such path 'adapt.roh'",
        ),
        ({"control": "true pair"}, "is not a named arm"),
        ({"axes": [Axis("adapt.rho", [0, 0.5])], "arms": {"rho=0": {}}}, "two arms share a name"),
        ({"axes": [Axis("adapt.rho", [0, 2])]}, "adapt.rho: must be less than or equal to 1"),
        ({"arms": {"x": {"adapt.schem": "paired"}}}, "did you mean 'adapt.scheme'"),
        ({"axes": [Axis("adapt.data.kernl", ["bd"])]}, "did you mean 'adapt.data.kernel'"),
        ({"axes": [Axis("lam", [0.1])]}, r"no such path 'lam': lam is a field of a stage, .*'adapt.lam' or '\*.lam'"),
        ({"seeds": 0}, "seeds: must be greater than or equal to 1"),
    ],
)
def test_mistakes_are_one_line(fields, message):
    with pytest.raises(UsageError, match=message) as error:
        expand(study(**fields), "s", "?")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["rho_sweep", "lambda_sweep"])
def test_the_shipped_studies_expand_under_every_profile(name, pytestconfig):
    path = pytestconfig.rootpath / "studies" / f"{name}.py"
    loaded, stem, question, _ = load(path)
    assert stem == name
    assert question.endswith("?")
    assert len(path.read_text().splitlines()) <= 30
    for profile in ("tiny", "quick", "small", "paper"):
        out = expand(loaded, name, question, profile)
        assert out.baseline in {arm.name for arm in out.arms}
    control = expand(loaded, name, question)
    if loaded.control:
        assert len(next(a for a in control.arms if a.name == loaded.control).trials) >= 3


SWITCH = Axis("loss", {"off": {"adapt.scheme": "supervised"}, "on": {"adapt.rho": 0.5, "adapt.lam": 0.2}})


def test_named_values_set_several_paths():
    out = expand(study(axes=[SWITCH, Axis("scale", [2, 4])], seeds=1, baseline={"loss": "off"}), "s", "?")
    assert [arm.name for arm in out.arms[:4]] == ["off, scale=2", "off, scale=4", "on, scale=2", "on, scale=4"]
    on = out.arms[3].trials[0]
    assert (on.stages[0].rho, on.stages[0].lam, on.scale) == (0.5, 0.2, 4)
    assert out.baseline == "off, scale=2"
    with pytest.raises(UsageError, match="or set by one"):
        expand(study(axes=[SWITCH]), "s", "?", sets={"adapt.lam": 1.0})


def test_a_value_called_bicubic_is_distinguished_from_the_reference():
    kernels = {k: {"adapt.data.kernel": k, "evaluate.*.kernel": k} for k in ("bicubic", "bd")}
    out = expand(study(axes=[Axis("kernel", kernels)], seeds=1), "s", "?")
    assert [arm.name for arm in out.arms] == ["kernel=bicubic", "kernel=bd", "bicubic"]
    # The reference is scored wherever an arm is.
    assert [e.kernel for e in out.arms[2].trials[0].evaluate] == ["bicubic", "bd"]


def test_a_ref_takes_the_value_of_another_path():
    kernel = Axis("kernel", {"a": {"evaluate.0.kernel": "bd"}, "b": {"evaluate.0.kernel": "nearest"}})
    pairs = Axis("pairs", {"source": {}, "true": {"adapt.data.kernel": Ref("evaluate.0.kernel")}})
    out = expand(study(axes=[pairs, kernel], seeds=1), "s", "?")
    assert [arm.trials[0].stages[0].data.kernel for arm in out.arms[:4]] == ["bicubic", "bicubic", "bd", "nearest"]
    with pytest.raises(UsageError, match=r"Ref\('evaluate.0.kernle'\) finds no 'kernle': did you mean 'kernel'"):
        expand(study(axes=[Axis("p", {"x": {"adapt.data.kernel": Ref("evaluate.0.kernle")}})]), "s", "?")


def test_an_arm_may_use_some_of_the_stages():
    more = Stage("fit", scheme="paired", data=Data("photos/train"), steps=5)
    base = study().base.model_copy(update={"stages": (*study().base.stages, more)})
    chosen = Axis("stages used", {"all": {}, "last": {"stages": ["fit"], "adapt.lr": 1e-3}})
    out = expand(study(base=base, axes=[chosen], seeds=1), "s", "?", "tiny")
    assert [[s.name for s in arm.trials[0].stages] for arm in out.arms[:2]] == [["adapt", "fit"], ["fit"]]
    assert out.arms[1].trials[0].stages[0].steps == 4  # the profile reaches stages wherever they are used
    with pytest.raises(UsageError, match="no stage 'fti' is declared: did you mean 'fit'"):
        expand(study(base=base, axes=[Axis("p", {"x": {"stages": ["fti"]}})]), "s", "?")
    with pytest.raises(UsageError, match="takes a list of names"):
        expand(study(base=base, axes=[Axis("p", {"x": {"stages": "fit"}})]), "s", "?")


def test_a_profile_may_give_an_axis_other_values():
    out = expand(study(profiles={"small": {"axes": {"adapt.rho": [0, 0.1, 0.2]}, "seeds": 1}}), "s", "?", "small")
    assert [arm.name for arm in out.arms] == ["ρ=0", "ρ=0.1", "ρ=0.2", "bicubic"]
    with pytest.raises(UsageError, match=r"'adapt.roh' is not an axis"):
        expand(study(profiles={"small": {"axes": {"adapt.roh": [0]}}}), "s", "?", "small")
    with pytest.raises(UsageError, match=r"the baseline's adapt.rho = 0 is not on the axis"):
        expand(study(baseline={"adapt.rho": 0}, profiles={"small": {"axes": {"adapt.rho": [1]}}}), "s", "?", "small")


def test_control_and_subject_are_axis_values():
    out = expand(study(axes=[SWITCH], control={"loss": "on"}, subject={"loss": "on"}), "s", "?")
    assert out.control == "on"
    with pytest.raises(UsageError, match="the control's loss = 'no' is not on the axis"):
        study(axes=[SWITCH], control={"loss": "no"})
    with pytest.raises(UsageError, match="'los' is not an axis"):
        study(axes=[SWITCH], subject={"los": "on"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"margin": 0.05}, 'such as {"psnr_y": 0.05}'),
        ({"margin": {"psnr_y": float("inf")}}, "finite and above 0 (got inf)"),
        ({"baseline": "base"}, 'axis values of an arm, such as {"train.lam": 0}'),
        ({"subject": "base"}, 'axis values of an arm, such as {"train.lam": 0}'),
        ({"primary": ["a", "b"]}, "takes one comparison: an arm's name, its axis values"),
        ({"primary": {}}, "takes one comparison: an arm's name, its axis values"),
        ({"allow_overlap": "  "}, "say in a sentence why"),
        ({"control": []}, 'a named arm, such as "true pairs"'),
    ],
)
def test_a_wrong_claim_is_refused_with_an_example(fields, words):
    with pytest.raises(UsageError) as error:
        study(**{"baseline": {"adapt.rho": 0}, **fields})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_half_width_of_until_needs_no_name():
    assert Until(0.05, at_most=8) == Until(half_width=0.05, at_most=8)


UNSEEN = st.text(st.sampled_from(" \t\u00a0\u2009\u200b\u200d\u2060\ufeff\u00ad\ufe0f\u3000"), max_size=3)


@pytest.mark.real
@given(st.text(min_size=1), UNSEEN, UNSEEN, st.sampled_from(["NFC", "NFD"]))
def test_names_that_nobody_can_tell_apart_are_refused(name, before, after, form):
    other = f"{before}{unicodedata.normalize(form, name)}{after}"
    with pytest.raises(UsageError, match=r"two arms (look alike|share a name)|not seen in print") as error:
        expand(study(axes=[Axis("arm", {name: {}, "x": {"adapt.lr": 1.0}})], arms={other: {}}), "s", "?")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("pair", [("x²", "x2"), ("A", "a"), ("e", "é"), ("ρ", "p"), ("a b", "ab"), ("№ 1", "№ 2")])
def test_names_that_look_different_are_kept(pair):
    arms = expand(study(arms={name: {} for name in pair}), "s", "?").arms
    assert [arm.name for arm in arms if arm.kind == "named"] == list(pair)


GOOD = {"base": study().base, "axes": [Axis("adapt.rho", [0, 0.5])], "baseline": {"adapt.rho": 0}}


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (Until, "Until: half_width is missing: of the difference's interval"),
        (lambda: Until(at_least=2), "half_width is missing"),
        (lambda: Until(0.05, at_least=2), "Until: at_least: must be greater than or equal to 3 (got 2)"),
        (lambda: Until(-1.0), "half_width: must be greater than 0"),
        (lambda: Until(float("nan")), "half_width: must be a finite number"),
        (lambda: Until(0.05, atleast=3), "did you mean 'at_least'"),
        (lambda: Study(**GOOD, margin={"psnr": 0.1}), "margin: no arm is measured in 'psnr': did you mean 'psnr_y'"),
        (
            lambda: Study(**GOOD, margin={"psnr_y": -0.1}),
            "the margin of 'psnr_y' must be finite and above 0 (got -0.1)",
        ),
        (lambda: Study(**GOOD, margin={"psnr_y": float("nan")}), "above 0 (got nan)"),
        (lambda: Study(**GOOD, margin={"psnr_y": "0.1"}), "margin.psnr_y: must be a valid number (got '0.1')"),
        (lambda: Study(**GOOD, margin=0.1), 'margin: takes a size by metric, such as {"psnr_y": 0.05}'),
        (lambda: Study(**GOOD, primary="rho=0.4"), "primary: no arm is called 'rho=0.4': did you mean 'rho=0.5'"),
        (lambda: Study(**GOOD, primary=Primary("true pairs", kernel="bd")), "primary: no arm is called 'true pairs'"),
        (lambda: Study(**GOOD, margn={}), "did you mean 'margin'"),
        (
            lambda: Stage("adapt", data=Data("photos/train"), steps=0),
            "Stage: steps: must be greater than or equal to 1",
        ),
        (
            lambda: Stage("adapt", data=Data("photos/train"), step=3),
            "Stage: step: there is no such field: did you mean 'steps'",
        ),
        (
            lambda: Stage("adapt", data=Data("photos/train"), step=3),
            "; steps is missing: optimiser steps; the same for every arm",
        ),
        (lambda: Stage("adapt", dat=1), "; data is missing: paired training data; steps is missing"),
        (lambda: Stage("Adapt", data=Data("a"), steps=1), "name: must be a letter a-z, then letters a-z, digits and _"),
        (lambda: Stage("a", data="photos/train", steps=1), "data: must be Data(...) (got 'photos/train')"),
        (
            lambda: Stage("a", data=Data("a"), steps=1, accumulate="x"),
            "accumulate: must be a valid integer or 'auto' (got",
        ),
        (lambda: Stage("a", data=Data("a"), steps=1, betas=[0.9]), "betas: has too few values (got [0.9])"),
        (lambda: Stage("a", data=Data("a"), steps=1, betas=3 * [0.9]), "betas: must have at most 2 items"),
        (lambda: Axis("adapt.rho", []), "Axis: values: must have at least 1 item (got [])"),
        (lambda: Axis("adapt.rho", 3), "values: must be a list (got 3)"),
        (lambda: Data(""), "Data: source: must not be empty"),
        (
            lambda: Study(base=study().base, outputs=[3]),
            "outputs.0: must be a table or figure, such as Table() (got 3)",
        ),
        (lambda: Trial(stages=[], evaluate=[]), "Trial: a trial without an evaluation measures nothing"),
    ],
)
def test_a_wrong_declaration_is_one_line_in_python_and_in_a_study_file(declare, words, tmp_path, monkeypatch):
    with pytest.raises(UsageError) as error:
        declare()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    monkeypatch.setattr("drnbench.declare_wrongly", declare, raising=False)
    (tmp_path / "wrong.py").write_text("import drnbench\nstudy = drnbench.declare_wrongly()\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        load(tmp_path / "wrong.py")
    assert str(error.value).startswith(f"{tmp_path / 'wrong.py'}:2: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_margin_may_be_for_a_metric_that_some_arm_asks_for():
    metrics = {"lpips too": {"evaluate.*.metrics": ["psnr_y", "lpips"]}}
    assert Study(**GOOD, arms=metrics, margin={"lpips": 0.01}).margin == {"lpips": 0.01}


def test_a_primary_arm_may_be_one_of_a_profile():
    sizes = {"small": {"axes": {"adapt.rho": [0, 0.1]}}}
    assert Study(**GOOD, profiles=sizes, primary="rho=0.1").primary == Primary("rho=0.1")
