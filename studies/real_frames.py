"""What does adapting to real LR images without HR change, where nobody knows the right answer?

A folder or a video takes the place of the photographs: `--set '*.unpaired.source=clip.mp4' --set evaluate.0.source=clip.mp4`.
"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

small = {"data": Data("photos/train"), "batch": 4, "patch": 64, "validations": 2}
pretrain = Stage("pretrain", scheme="paired", steps=600, lr=2e-3, **small)
adapt = Stage("adapt", scheme="unpaired", unpaired=Data("photos/test", kernel="real"), steps=200, lr=5e-4, **small)
# The images are LR at their own size; no HR exists. What can be scored is whether SR explains its input.
large = {"*.data.source": "T91+BSDS200", "*.unpaired.source": "clip_city",
         "evaluate": [Evaluate("clip_city", kernel="real", metrics=["lr_psnr"], crop=160)]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test", kernel="real", metrics=["lr_psnr"], crop=128)]),
    axes=[Axis("adaptation", {
        "none": {}, "ρ = 0.3": {"adapt.rho": 0.3}, "ρ = 0.3, own D": {"adapt.rho": 0.3, "adapt.dual_of": "own"},
    })],
    arms={"ibp": {"method": "ibp", "model": {}, "stages": []}},
    seeds=3, baseline={"adaptation": "none"},
    allow_overlap="the LR images of the test are themselves what is adapted to, as real images without HR are used",
    outputs=[Table(rows="adaptation")],
    profiles={
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "adapt.steps": 5_000},
        "paper": {**large, "method": "drn-s", "model": {}, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4, "*.data.source": "DF2K",
                  "pretrain.steps": 1_000_000, "adapt.steps": 100_000, "*.unpaired.crop": None},
    },
)  # fmt: skip
