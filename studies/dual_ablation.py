"""Does the dual regression loss help, and does it help a small network as much as a large one?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Tradeoff, Trial

train = Stage("train", scheme="paired", data=Data("photos/train"), steps=450, batch=4, patch=64, lr=2e-3, validations=4)
sizes = {"S": {"model.n_blocks": 1, "model.n_feats": 8}, "L": {"model.n_blocks": 2, "model.n_feats": 12}}
margin = {"psnr_y": 0.05}
presets = {"DRN-S": {"method": "drn-s"}, "DRN-L": {"method": "drn-l"}}

study = Study(
    base=Trial(method="drn", scale=4, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("network", sizes), Axis("dual", {"off": {"train.scheme": "supervised"}, "on": {}})],
    seeds=3, baseline={"dual": "off"}, subject={"dual": "on"},
    outputs=[Table(rows="dual", costs=("parameters", "macs", "seconds")), Tradeoff(x="parameters")],
    profiles={
        "workstation": {"train.data.source": "BSDS200", "train.holdout": 3, "train.steps": 2000, "train.batch": 8, "train.validations": 8,
                        "seeds": 5, "margin": margin, "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "small": {"axes": {"network": {"S": {"model.n_blocks": 4, "model.n_feats": 16}, "L": {"model.n_blocks": 8, "model.n_feats": 20}}},
                  "margin": margin, "train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "paper": {"margin": margin, "axes": {"network": presets}, "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100", "Urban100", "Manga109")]},
    },
)  # fmt: skip
