"""Which SR or LR file belongs to which HR image."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench.datasets.pairing import clash, matching_hr

SET5 = ["baby", "bird", "butterfly", "head", "woman"]


@pytest.mark.parametrize(
    ("stem", "names", "expected"),
    [
        ("baby", SET5, "baby"),
        ("baby_RCAN_x4", SET5, "baby"),
        ("babyx4", SET5, "baby"),
        ("baby-sr", SET5, "baby"),
        ("baby_LRBI_x2", SET5, "baby"),
        ("babylon", SET5, None),
        ("my_baby", SET5, None),
        ("0001x4", ["0001", "0002"], "0001"),
        ("00011", ["0001", "0002"], None),
        ("img_1_2_SR", ["img_1", "img_1_2"], "img_1_2"),
        ("img_1_SR", ["img_1", "img_1_2"], "img_1"),
        ("baby_RCAN_x4", ["baby_HR_x4", "bird_HR_x4"], "baby_HR_x4"),
        ("img_001_SRF_4_SRCNN", ["img_001_SRF_4_HR", "img_002_SRF_4_HR"], "img_001_SRF_4_HR"),
        ("0801x4", ["0801x4", "0801"], "0801x4"),
        ("fox3", ["fox1", "fox2"], None),
        ("fox1x4", ["fox1", "fox2"], "fox1"),
        ("Baby_X4", ["baby", "bird"], "baby"),
        ("0001", ["0001_GT", "0001_HR"], None),
        ("baby_HR", ["baby_HR", "baby"], "baby_HR"),
        ("x4", ["x4"], "x4"),
        ("a", [], None),
    ],
)
def test_matching_hr(stem, names, expected):
    assert matching_hr(stem, names) == expected


@given(st.lists(st.text("abx1_", min_size=1, max_size=6), min_size=1, unique=True), st.sampled_from(["", "_SR", "x4"]))
def test_a_name_with_an_ending_belongs_to_it_or_to_a_longer_one(names, ending):
    for name in names:
        match = matching_hr(name + ending, names)
        assert match is not None
        assert len(match) >= len(name)


@pytest.mark.parametrize(("pair", "form"), [(("café", "café"), ("NFC", "NFD")), (("Å", "å"), ("NFD", "NFC"))])
def test_composed_and_decomposed_letters_are_equal(pair, form):
    hr, sr = (unicodedata.normalize(f, name) for f, name in zip(form, pair, strict=True))
    assert matching_hr(f"{sr}_x4", [hr, "baby"]) == hr
    assert clash([hr, sr]) == (hr, sr)


@pytest.mark.parametrize(
    "names",
    [
        ("img_001_SRF_4_HR", "img_001_SRF_4_LR"), ("a_HR", "a_LR"), ("a", "ax4"), ("a", "a_x2"), ("a_GT", "a"),
        ("Baby", "baby"), ("baby_LRBI_x2", "baby_HR_x2"), ("0801x2", "0801x4"),
    ],
)  # fmt: skip
def test_names_of_one_picture_clash(names):
    assert clash(["other", *names]) == names


@pytest.mark.parametrize(
    "names", [SET5, ["img_1", "img_1_2"], ["fox1", "fox2"], ["a", "ab"], ["x2", "x3"], ["0001", "00011"], ["HR", "LR"]]
)
def test_names_of_several_pictures_do_not_clash(names):
    assert clash(names) is None
