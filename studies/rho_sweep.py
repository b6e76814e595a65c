"""Do unpaired LR images of an unknown kernel help to adapt to it, and how large should their share ρ be?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

target = "gaussian:sigma=2.0"
pretrain = Stage(
    "pretrain", scheme="paired", data=Data("photos/train"), steps=600, batch=4, patch=64, lr=2e-3, validations=2
)
adapt = Stage("adapt", scheme="unpaired", rho=0.0, data=Data("photos/train"), patch=64, steps=160, lr=5e-4,
              unpaired=Data("photos/unpaired", kernel=target), validations=2)  # fmt: skip
large = {"*.data.source": "BSDS200", "adapt.unpaired.source": "T91",
         "evaluate": [Evaluate(s, kernel=k) for k in (target, "bicubic") for s in ("Set5", "Set14", "B100")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test", kernel=target), Evaluate("photos/test", kernel="bicubic")]),
    axes=[Axis("adapt.rho", [0, 0.1, 0.3, 0.5, 0.7, 1.0], label="ρ")],
    arms={"true pairs": {"adapt.scheme": "paired", "adapt.data.kernel": target}},  # the most that could be gained
    seeds=3, baseline={"adapt.rho": 0}, control="true pairs",
    outputs=[Table(rows="adapt.rho", columns="kernel"), Curve(x="adapt.rho", y="psnr_y")],
    profiles={
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "adapt.steps": 5_000},
        "paper": {**large, "method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4,
                  "*.data.source": "DF2K", "adapt.unpaired.source": "BSDS200", "adapt.unpaired_patch": 320,
                  "pretrain.steps": 1_000_000, "adapt.steps": 100_000},
    },
)  # fmt: skip
