"""Where does dual regression help: at which scale, and for which degradation kernel?"""

from drnbench import Axis, Data, Evaluate, Heatmap, Stage, Study, Table, Trial

train = Stage("train", scheme="paired", data=Data("photos/train"), steps=200, batch=4, patch=64, lr=2e-3, validations=2)
kernels = ("bicubic", "bd", "nearest", "gaussian:sigma=2.0")

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("kernel", {k: {"train.data.kernel": k, "evaluate.*.kernel": k} for k in kernels}),
          Axis("scale", [2, 4]), Axis("train.lam", [0, 0.1], label="λ")],
    seeds=3, baseline={"train.lam": 0}, subject={"train.lam": 0.1},
    outputs=[Heatmap(x="scale", y="kernel"), Table(rows="train.lam")],
    profiles={
        "small": {"axes": {"scale": [2, 4, 8]}, "model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200",
                  "train.steps": 10_000, "*.batch": 16, "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "paper": {"axes": {"scale": [2, 4, 8], "train.lam": [0, 0.01, 0.1, 1]}, "method": "drn-s", "model": {},
                  "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4, "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100", "Urban100", "Manga109")]},
    },
)  # fmt: skip
