"""Which method gives the best SR for what it costs, when all are trained equally long on the same images?"""

from drnbench import Axis, Crops, Data, Evaluate, Stage, Study, Table, Tradeoff, Trial

small = {"data": Data("photos/train"), "batch": 4, "patch": 64, "validations": 2}
train = Stage("train", scheme="supervised", steps=500, lr=1e-3, **small)
# The adversarial methods get HR images of one set and LR images of another. The identity terms of CycleGAN and CinCGAN are SR of
# bicubic LR images, though, as are the test images (docs/methods.md): `small` and `paper` have both also without these terms.
gan = Stage("gan", unpaired=Data("photos/unpaired"), steps=250, lr=2e-4, betas=(0.5, 0.999), **small)


def methods(drn: dict, peer: dict, dbpn: dict, generator: dict, options: dict) -> dict:
    """Every system of the argument; those that nobody trains first."""
    pairs, alone = {"stages": ["train"]}, {"stages": ["gan"], "gan.options": options}
    return {
        "ibp": {"method": "ibp", "stages": []},
        "edsr": {**pairs, "method": "edsr", "model": peer},
        "edsr + dual": {**pairs, "method": "edsr", "model": peer, "train.scheme": "paired", "train.dual": "single"},
        "dbpn": {**pairs, "method": "dbpn", "model": dbpn},
        "no-dual": {**pairs, **drn, "train.lr": 2e-3},
        "drn": {**pairs, **drn, "train.lr": 2e-3, "train.scheme": "paired"},
        "cyclegan": {**alone, "method": "cyclegan", "model": generator, "gan.scheme": "cyclegan"},
        "cincgan": {**alone, "method": "cincgan", "model": generator, "gan.scheme": "cincgan", "gan.options": {**options, "gan": 0.1}},
        "dualgan": {**alone, "method": "dualgan", "model": generator, "gan.scheme": "dualgan", "gan.lr": 5e-5},
    }  # fmt: skip


alone = {"stages": ["gan"]}
more = {
    "cyclegan, no identity": {**alone, "method": "cyclegan", "gan.scheme": "cyclegan", "gan.options": {"identity": 0.0}},
    "cincgan, no identity": {**alone, "method": "cincgan", "gan.scheme": "cincgan",
                             "gan.options": {"gan": 0.1, "identity": 0.0, "inner_identity": 0.0}},
    "zssr": {"method": "zssr", "stages": []},
}  # fmt: skip
quick = methods({"method": "drn", "model": {"n_blocks": 1, "n_feats": 8}}, {"n_blocks": 4, "n_feats": 16},
                {"n_blocks": 2, "n_feats": 32, "n_base": 16}, {"n_blocks": 4, "n_feats": 16},
                {"d_feats": 8, "f_blocks": 2, "f_feats": 16})  # fmt: skip
sets = ("Set5", "Set14", "B100")

study = Study(
    base=Trial(method="drn", scale=4, stages=[train, gan], evaluate=[Evaluate("photos/test")]),
    axes=[Axis("method", quick)],
    seeds=3, baseline={"method": "no-dual"},
    outputs=[Table(rows="method", layout="paper", costs=("parameters", "macs"), peers=("EDSR", "RCAN", "SwinIR", "DRN-S", "DRN-L")),
             Table(rows="method", costs=("parameters", "macs", "seconds"), peers=("EDSR", "RCAN", "SwinIR", "DRN-S", "DRN-L")),
             Tradeoff(x="macs"), Crops(images=("difference", "median"))],
    profiles={
        "workstation": {"axes": {"method": {**quick, "zssr": more["zssr"]}}, "*.data.source": "BSDS200", "*.unpaired.source": "T91",
                        "train.steps": 2000, "gan.steps": 1000, "*.batch": 8, "*.holdout": 3, "*.validations": 8,
                        "evaluate": [Evaluate(s) for s in ("Set5", "Set14")]},
        "small": {"axes": {"method": {**methods({"method": "drn", "model": {"n_blocks": 4, "n_feats": 16}}, {}, {}, {}, {}), **more}},
                  "*.data.source": "BSDS200", "*.unpaired.source": "T91", "*.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate(s) for s in sets]},
        "paper": {"axes": {"method": {**methods({"method": "drn-s"}, {}, {}, {}, {}), **more}},
                  "*.data.source": "DF2K", "*.unpaired.source": "BSDS200",
                  "*.steps": 1_000_000, "*.batch": 32, "*.patch": 384, "gan.patch": 320,
                  "evaluate": [Evaluate(s) for s in (*sets, "Urban100", "Manga109")]},
    },
)  # fmt: skip
