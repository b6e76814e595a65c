"""Do unpaired LR images of an unknown kernel help, and how many should there be?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

pretrain = Stage("pretrain", scheme="paired", lam=0.1, data=Data("photos/train"), steps=700, lr=2e-3)
adapt = Stage(
    "adapt", scheme="unpaired", lam=0.1, rho=0.0, data=Data("photos/train"),
    unpaired=Data("photos/unpaired", kernel="bd"), steps=150, lr=5e-4,
)  # fmt: skip

study = Study(
    base=Trial(
        method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt],
        evaluate=[Evaluate("photos/test", kernel="bd"), Evaluate("photos/test", kernel="bicubic")],
    ),
    axes=[Axis("adapt.rho", [0, 0.1, 0.3, 0.5, 0.7, 1.0], label="ρ")],
    arms={"true pairs": {"adapt.scheme": "paired", "adapt.data.kernel": "bd"}},  # what adaptation could gain at most
    seeds=3, baseline={"adapt.rho": 0}, control="true pairs",
    outputs=[Table(rows="adapt.rho", columns="kernel"), Curve(x="adapt.rho", y="psnr_y")],
    profiles={"paper": {"method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "pretrain.steps": 1_000_000}},
)  # fmt: skip
