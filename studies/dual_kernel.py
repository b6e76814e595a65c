"""What does the dual network D learn: how near does it come to the true degradation?"""

from drnbench import Axis, Data, DualKernel, Evaluate, Stage, Study, Table, Trial

kernels = ("bicubic", "nearest", "bd", "gaussian:sigma=2.0", "anisotropic:sigma_x=3.0,sigma_y=1.0,angle=45")
train = Stage("train", scheme="paired", data=Data("photos/train"), steps=900, batch=4, patch=48, lr=2e-3, validations=2)
metrics = ["dual_mae", "psnr_y"]

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=2, stages=[train],
               evaluate=[Evaluate("photos/test", metrics=metrics)]),
    axes=[Axis("kernel", {k: {"train.data.kernel": k, "evaluate.*.kernel": k} for k in kernels})],
    seeds=3,
    outputs=[Table(rows="kernel"), DualKernel(x="kernel")],
    profiles={
        "small": {"scale": 4, "model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200", "train.steps": 20_000,
                  "*.batch": 16, "evaluate": [Evaluate(s, metrics=metrics) for s in ("Set5", "B100")]},
        "paper": {"scale": 4, "method": "drn-s", "model": {}, "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384, "evaluate": [Evaluate(s, metrics=metrics) for s in ("Set5", "B100")]},
    },
)  # fmt: skip
