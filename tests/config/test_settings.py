"""The settings of a study as names of folders, as text and as options of a command."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench import Data, Ref
from drnbench.config.settings import Settings
from drnbench.session.declared import read_overrides

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
PATHS = st.from_regex(r"[a-z*]{1,8}(\.[a-z]{1,8})?", fullmatch=True)


@given(st.dictionaries(PATHS, PLAIN, max_size=4))
def test_options_of_the_command_give_the_settings_again(overrides: dict[str, Any]) -> None:
    settings = Settings.of("sweep", "quick", overrides)
    words = shlex.split(settings.options)
    assert words[:2] == ["--profile", "quick"]
    assert Settings.of("sweep", "quick", read_overrides(words[3::2])) == settings


@given(st.dictionaries(PATHS, PLAIN, min_size=1, max_size=4), st.text(min_size=1))
def test_a_folder_is_one_visible_name(overrides: dict[str, Any], profile: str) -> None:
    for chosen in ({}, overrides):
        folder = Settings.of("sweep", profile, chosen).folder
        assert folder.isascii()
        assert folder.isprintable()
        assert not {"/", " ", "\\"} & set(folder)
        assert not folder.startswith(".")


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_profiles_do_not_share_a_folder(profiles: list[str]) -> None:
    assert len({Settings.of("sweep", profile).folder for profile in profiles}) == len(profiles)


def test_a_profile_that_looks_like_overrides_is_another_folder() -> None:
    changed = Settings.of("sweep", "quick", {"train.steps": 90}).folder
    assert Settings.of("sweep", changed).folder != changed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"lr": 1.0}, {"lr": 1}),
        ({"stages": ("pretrain", "adapt")}, {"stages": ["pretrain", "adapt"]}),
        ({"train.data": Data("photos/train")}, {"train.data": Data("photos/train").model_dump()}),
    ],
)
def test_equal_overrides_are_equal_settings(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Settings.of("sweep", "quick", one).location == Settings.of("sweep", "quick", other).location


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": "1"}), ({"a": 1}, {"a": True}), ({"a": 1}, {"b": 1}), ({"a": Ref("b")}, {"a": "b"})],
)
def test_other_overrides_are_other_settings(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Settings.of("sweep", "quick", one).location != Settings.of("sweep", "quick", other).location


def test_text_names_the_profile_and_every_override() -> None:
    settings = Settings.of("sweep", "quick", {"train.steps": 90, "*.lam": 0.1})
    assert settings.text == "profile quick with *.lam=0.1, train.steps=90"
    assert settings.options == "--profile quick --set '*.lam=0.1' --set train.steps=90"
