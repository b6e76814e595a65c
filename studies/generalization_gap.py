"""Does dual regression narrow the gap between training and test images as the training set shrinks?"""

from drnbench import Axis, Data, Evaluate, Gap, Stage, Study, Table, Trial


def first(*counts: int) -> dict[int, dict[str, int]]:
    """The first n images: trained on, and scored as the training images."""
    return {n: {"train.data.count": n, "evaluate.0.count": n} for n in counts}


train = Stage("train", scheme="paired", data=Data("photos/train"), holdout=0, steps=300, batch=4, patch=64, lr=2e-3)
large = {"*.data.source": "BSDS200", "evaluate": [Evaluate("BSDS200", count=1), Evaluate("B100")],
         "axes": {"images": first(5, 20, 80, 199)}}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[train],
               evaluate=[Evaluate("photos/train", count=1), Evaluate("photos/test")]),
    axes=[Axis("images", first(1, 2, 4, 8), label="training images"),
          Axis("dual", {"off": {"train.scheme": "supervised"}, "on": {}})],
    seeds=3, baseline={"dual": "off"}, subject={"dual": "on"},
    outputs=[Gap(x="images"), Table(rows="dual", columns="dataset", metrics=["psnr_y"])],
    profiles={
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "train.steps": 10_000, "*.batch": 16},
        "paper": {**large, "method": "drn-s", "model": {}, "*.data.source": "DF2K", "train.steps": 1_000_000, "*.lr": 1e-4,
                  "*.batch": 32, "*.patch": 384, "evaluate": [Evaluate("DF2K", count=1), Evaluate("B100")],
                  "axes": {"images": first(34, 345, 3450)}},
    },
)  # fmt: skip
