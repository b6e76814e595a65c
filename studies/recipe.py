"""What does each part of a training recipe give: averaged weights, clipping, warm-up, schedule, AdamW, the loss?

Each arm changes one part of the baseline (Adam, cosine, L1), with settings that papers use and none of which is chosen on
test images. All differences to the baseline are one family under Holm's correction.
"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

train = Stage(
    "train", scheme="supervised", data=Data("photos/train"), steps=400, batch=4, patch=64, lr=2e-3, validations=4
)
parts = {
    "EMA": {"train.ema": 0.99},
    "clipped": {"train.clip_norm": 2.55},  # Restormer's 0.01 for images in [0, 1]
    "warm-up": {"train.warmup": 0.1},
    "multi-step": {"train.schedule": "multistep", "train.milestones": (0.5, 0.75, 0.9)},
    "constant": {"train.schedule": "constant"},
    "constant + EMA": {"train.schedule": "constant", "train.ema": 0.99},
    "AdamW": {"train.optimiser": "adamw"},
    "L2": {"train.loss": "l2"},
    "Charbonnier": {"train.loss": "charbonnier"},
    "L1 + FFT": {"train.loss": "l1+0.05*fft"},
}
long = {"EMA": {"train.ema": 0.999}, "constant + EMA": {**parts["constant + EMA"], "train.ema": 0.999},
        "L1 + LPIPS": {"train.loss": "l1+25*lpips"}}  # fmt: skip
sets, metrics = ("Set5", "Set14", "B100"), ("psnr_y", "ssim_y", "lpips")

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[train], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("recipe", {"Adam, cosine, L1": {}, **parts})],
    seeds=3, baseline={"recipe": "Adam, cosine, L1"},
    outputs=[Table(rows="recipe", costs=("seconds",))],
    profiles={
        "small": {"axes": {"recipe": {"Adam, cosine, L1": {}, **parts, **long}}, "model": {"n_blocks": 4, "n_feats": 16},
                  "train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate(s, metrics=metrics) for s in sets]},
        "paper": {"axes": {"recipe": {"Adam, cosine, L1": {}, **parts, **long}}, "method": "drn-s", "model": {},
                  "train.data.source": "DF2K", "train.steps": 1_000_000, "train.lr": 1e-4, "*.batch": 32, "*.patch": 384,
                  "evaluate": [Evaluate(s, metrics=metrics) for s in (*sets, "Urban100", "Manga109")]},
    },
)  # fmt: skip
