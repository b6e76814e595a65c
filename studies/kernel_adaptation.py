"""A network trained on bicubic LR images meets another degradation: what does adapting with unpaired images recover?"""

from drnbench import Axis, Data, Evaluate, Ref, Stage, Study, Table, Trial

kernels = ("nearest", "bd", "anisotropic:sigma_x=3.0,sigma_y=1.0,angle=45", "bicubic:noise=8")
small = {"data": Data("photos/train"), "batch": 4, "patch": 64}
unpaired = Data("photos/unpaired", kernel=kernels[0])
pretrain = Stage("pretrain", scheme="paired", steps=600, lr=2e-3, validations=2, **small)
adapt = Stage("adapt", scheme="unpaired", unpaired=unpaired, steps=80, lr=5e-4, validations=1, **small)
gan = Stage("gan", scheme="cyclegan", unpaired=unpaired, steps=100, lr=2e-4, betas=(0.5, 0.999), validations=1, **small)


def rows(*, gan_model: dict, gan_options: dict) -> dict:
    """What is done about the unknown kernel; the control alone may see pairs of it."""
    two = {"stages": ["pretrain", "adapt"]}
    return {
        "unadapted": two,
        "no-dual": {**two, "pretrain.scheme": "supervised", "adapt.scheme": "supervised"},
        "cyclegan": {"stages": ["gan"], "method": "cyclegan", "model": gan_model, "gan.options": gan_options},
        "adapted": {**two, "adapt.rho": 0.3},
        "true pairs": {**two, "adapt.scheme": "paired", "adapt.data.kernel": Ref("evaluate.0.kernel")},
    }  # fmt: skip


quick = rows(gan_model={"n_blocks": 4, "n_feats": 16}, gan_options={"d_feats": 8, "f_blocks": 2, "f_feats": 16})
large = {"*.data.source": "BSDS200", "*.unpaired.source": "T91", "axes": {"method": rows(gan_model={}, gan_options={})},
         "evaluate": [Evaluate(s, kernel=kernels[0]) for s in ("Set5", "Set14", "B100")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, adapt, gan],
               evaluate=[Evaluate("photos/test", kernel=kernels[0])]),
    axes=[Axis("method", quick), Axis("kernel", {k: {"*.unpaired.kernel": k, "evaluate.*.kernel": k} for k in kernels})],
    seeds=3, baseline={"method": "unadapted"}, subject={"method": "adapted"}, control={"method": "true pairs"},
    outputs=[Table(rows="method")],
    profiles={
        "workstation": {**large, "axes": {"method": quick}, "pretrain.steps": 2000, "adapt.steps": 400, "gan.steps": 1000, "*.batch": 8,
                        "*.holdout": 3, "*.validations": 8, "evaluate": [Evaluate(s, kernel=kernels[0]) for s in ("Set5", "Set14")]},
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, "pretrain.steps": 20_000, "adapt.steps": 5_000,
                  "gan.steps": 20_000},
        "paper": {**large, "method": "drn-s", "model": {}, "scale": 8, "*.batch": 32, "*.patch": 384, "*.data.source": "DF2K",
                  "*.unpaired.source": "BSDS200", "adapt.unpaired_patch": 320, "gan.patch": 320,
                  "pretrain.lr": 1e-4, "adapt.lr": 1e-4, "pretrain.steps": 1_000_000, "adapt.steps": 100_000, "gan.steps": 400_000},
    },
)  # fmt: skip
