"""Is D better used as an estimator of an unknown degradation, which makes new training pairs, than as a loss?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

target = "gaussian:sigma=2.0"
small = {"data": Data("photos/train"), "batch": 4, "patch": 64, "validations": 2}
unpaired = Data("photos/unpaired", kernel=target)
pretrain = Stage("pretrain", scheme="paired", steps=600, lr=2e-3, **small)
fit = Stage("fit", scheme="dual-fit", unpaired=unpaired, steps=200, lr=2e-3, **small)
adapt = Stage("adapt", scheme="unpaired", unpaired=unpaired, steps=200, lr=5e-4, **small)
metrics = ["psnr_y", "ssim_y", "dual_mae"]
large = {"*.data.source": "BSDS200", "*.unpaired.source": "T91",
         "evaluate": [Evaluate(s, kernel=k, metrics=metrics) for k in (target, "bicubic") for s in ("Set5", "B100")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, fit, adapt],
               evaluate=[Evaluate("photos/test", kernel=k, metrics=metrics) for k in (target, "bicubic")]),
    axes=[Axis("adaptation", {
        "none": {"stages": ["pretrain", "adapt"]},
        "Algorithm 1": {"stages": ["pretrain", "adapt"], "adapt.rho": 0.3},
        "Algorithm 1, own D": {"stages": ["pretrain", "adapt"], "adapt.rho": 0.3, "adapt.dual_of": "own"},
        "dual-synth": {"adapt.scheme": "dual-synth"},
        "true pairs": {"stages": ["pretrain", "adapt"], "adapt.scheme": "paired", "adapt.data.kernel": target},
    })],
    seeds=3, baseline={"adaptation": "none"}, control={"adaptation": "true pairs"},
    outputs=[Table(rows="adaptation")],
    profiles={
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "fit.steps": 5_000,
                  "adapt.steps": 5_000},
        "paper": {**large, "method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4,
                  "*.data.source": "DF2K", "*.unpaired.source": "BSDS200", "*.unpaired_patch": 320,
                  "pretrain.steps": 1_000_000, "fit.steps": 100_000, "adapt.steps": 100_000},
    },
)  # fmt: skip
