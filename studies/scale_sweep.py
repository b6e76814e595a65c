"""Does what dual regression gains depend on the scale?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

train = Stage("train", scheme="paired", data=Data("photos/train"), steps=400, batch=4, patch=64, lr=2e-3, validations=4)
sets = [Evaluate(s) for s in ("Set5", "Set14", "B100")]

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("scale", [2, 4, 8]), Axis("dual", {"off": {"train.scheme": "supervised"}, "on": {}})],
    seeds=3, baseline={"dual": "off"}, subject={"dual": "on"},
    outputs=[Table(rows="dual", layout="paper", costs=("parameters", "macs"), peers=("RCAN", "DRN-S", "DRN-L")),
             Table(rows="dual", columns="scale"), Curve(x="scale", y="psnr_y")],
    profiles={
        "small": {"model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": sets},
        "paper": {"method": "drn-s", "model": {}, "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384, "evaluate": [*sets, Evaluate("Urban100"), Evaluate("Manga109")]},
    },
)  # fmt: skip
