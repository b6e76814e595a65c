"""How much dual regression is right: which λ of Eq. 1 gives the best SR on the kernel it was trained for?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

train = Stage("train", scheme="paired", data=Data("photos/train"), steps=400, batch=4, patch=64, lr=2e-3, validations=4)

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("train.lam", [0, 0.001, 0.01, 0.1, 1, 10], label="λ")],
    seeds=3, baseline={"train.lam": 0},
    outputs=[Table(rows="train.lam"), Curve(x="train.lam", y="psnr_y", log=True)],
    profiles={
        "small": {"model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "paper": {"method": "drn-s", "model": {}, "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100", "Urban100", "Manga109")]},
    },
)  # fmt: skip
