"""Is a constraint on the HR domain too (y -> D -> P -> y) worth its cost?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Tradeoff, Trial

train = Stage("train", scheme="paired", data=Data("photos/train"), steps=500, batch=4, patch=64, lr=2e-3, validations=4)

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("constraint", {"LR only": {"train.hr_lam": 0.0}, "LR and HR": {"train.hr_lam": 0.1}})],
    arms={"no dual": {"train.scheme": "supervised"}},
    seeds=3, baseline={"constraint": "LR only"}, subject={"constraint": "LR and HR"},
    outputs=[Table(rows="constraint", costs=("step_macs", "seconds")), Tradeoff(x="seconds")],
    profiles={
        "small": {"model": {"n_blocks": 4, "n_feats": 16}, "train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100")]},
        "paper": {"method": "drn-s", "model": {}, "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s) for s in ("Set5", "Set14", "B100", "Urban100", "Manga109")]},
    },
)  # fmt: skip
