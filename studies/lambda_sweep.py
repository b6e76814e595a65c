"""How much dual regression is right: which λ of Eq. 1 gives the best SR on the kernel it was trained for?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

train = Stage("train", scheme="paired", lam=0.1, data=Data("photos/train"), steps=400, lr=2e-3, validations=4)
full = {"method": "drn-s", "model": {}, "train.lr": 1e-4}

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("train.lam", [0, 0.001, 0.01, 0.1, 1, 10], label="λ")],
    seeds=2,
    baseline={"train.lam": 0},
    outputs=[Table(rows="train.lam"), Curve(x="train.lam", y="psnr_y", log=True)],
    profiles={
        "small": {"model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200", "train.steps": 20_000,
                  "*.patch": 64, "*.batch": 16, "seeds": 3, "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "paper": {**full, "train.data.source": "DF2K", "train.steps": 1_000_000, "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100", "Urban100", "Manga109")]},
    },
)  # fmt: skip
