"""Which λ and ρ together adapt best to an unknown kernel, and do they beat the usual ones on images that no choice saw?"""

from drnbench import Data, Evaluate, Stage, Study, Table, Trial
from drnbench.search import Float, Maximise, Median, Search, Steps

target = "gaussian:sigma=2.0"
pretrain = Stage("pretrain", scheme="paired", data=Data("photos/train"), steps=600, batch=4, patch=64, lr=2e-3,
                 holdout=3, validations=2)  # fmt: skip
adapt = Stage("adapt", scheme="unpaired", lam=0.1, rho=0.3, data=Data("photos/train"), patch=64, steps=100, lr=5e-4,
              unpaired=Data("photos/unpaired", kernel=target), holdout=3, validations=4)  # fmt: skip
large = {"*.data.source": "BSDS200", "*.holdout": 20, "adapt.unpaired.source": "T91",
         "evaluate": [Evaluate(s, kernel=k) for k in (target, "bicubic") for s in ("Set5", "Set14", "B100")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test", kernel=target), Evaluate("photos/test", kernel="bicubic")]),
    # Held-out training images decide, never the test set: with fresh seeds the table then says whether it holds.
    # Under the target kernel they are an oracle; Maximise("val_psnr_y") and Maximise("lr_psnr") are not.
    search=Search(space={"adapt.lam": Float(0.001, 10, log=True), "adapt.rho": Steps(0.1, 1, 0.1)},
                  objectives=[Maximise("val_psnr_y", kernel=target)], trials=12, seeds=2, fresh_seeds=3,
                  sampler="tpe", seed=0, startup=6, pruner=Median(startup=4, warmup=0.46)),
    arms={"unadapted": {"adapt.rho": 0},
          "true pairs": {"adapt.scheme": "paired", "adapt.rho": 0, "adapt.data.kernel": target}},
    baseline={"adapt.lam": 0.1, "adapt.rho": 0.3}, control="true pairs", outputs=[Table(rows="search")],
    profiles={
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "adapt.steps": 5_000},
        "paper": {**large, "method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4,
                  "*.data.source": "DF2K", "adapt.unpaired.source": "BSDS200", "adapt.unpaired_patch": 320,
                  "pretrain.steps": 1_000_000, "adapt.steps": 100_000, "search.trials": 40},
    },
)  # fmt: skip
