"""The arms of figures that have no room for all."""

from __future__ import annotations

import pytest

from drnbench.config.study import Axis
from drnbench.outputs.arm_selection import ARMS, representative
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study


@pytest.mark.parametrize("rhos", [[0.0, 0.5], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]], ids=len)
def test_the_arm_of_the_declared_comparison_is_among_them(store: Store, rhos: list[float]) -> None:
    axes = [Axis("adapt.lam", [0.1, 1.0], label="λ"), Axis("adapt.rho", rhos, label="ρ")]
    study = rho_study(
        axes=axes,
        seeds=2,
        baseline={"adapt.lam": 0.1, "adapt.rho": 0.0},
        primary={"adapt.lam": 1.0, "adapt.rho": 0.5},
    )
    fill(store, plan_of(study), gain)
    arms = [arm.name for arm in representative(composed(store)[0].scores)]
    assert [name for name in arms if name.startswith("λ=1")] == ["λ=1, ρ=0.5"]
    assert len(arms) <= ARMS + 1
    assert {"λ=0.1, ρ=0", f"λ=0.1, ρ={rhos[-1]:g}"} <= set(arms)
