"""What should unpaired LR images be compared through: a learned D, one learned strided kernel, KernelGAN's estimate, or the kernel itself?

D is a convolutional network shared with the pairs (the paper's), one of the unpaired images' own, a linear operator of their own,
each at the paper's ρ = 0.3; or a kernel that stays as it is: KernelGAN's estimate from the unpaired images alone, or the exact one (an
oracle), with λ = 0.1 for pairs. Their ρ = 0.7 and λ = 10 for unpaired images were chosen at the last two kernels on three held-out
training images (motorcycle, page, ihc; `holdout=3`, two seeds, among ρ of 0.5, 0.7 and 1); nothing was chosen at σ=2.5. docs/dual.md
has what was measured, on photographs and on Set5 and Set14. `small` and `paper` have λ = 0.1, 1, 3 and 10.
"""

from drnbench import Axis, Data, DualKernel, Evaluate, Ref, Stage, Study, Table, Trial

kernels = ("gaussian:sigma=2.5", "gaussian:sigma=1.5", "anisotropic:sigma_x=3.0,sigma_y=1.0,angle=45")
metrics = ["psnr_y", "dual_mae"]
pretrain = Stage("pretrain", scheme="paired", data=Data("photos/train"), steps=600, batch=4, patch=64, lr=2e-3, validations=2)  # fmt: skip
estimate = Stage("estimate", scheme="kernelgan", data=Data("photos/train"), unpaired=Data("photos/unpaired", kernel=kernels[0]),
                 patch=64, unpaired_patch=256, batch=2, steps=1000, lr=2e-4, betas=(0.5, 0.999), schedule="multistep",
                 milestones=(0.25, 0.5, 0.75), gamma=0.1, augment=False, validations=0)  # fmt: skip
adapt = Stage("adapt", scheme="unpaired", rho=0.3, data=Data("photos/train"), patch=64, steps=240, lr=5e-4, validations=2,
              unpaired=Data("photos/unpaired", kernel=kernels[0]), dual_border=2)  # fmt: skip
two = {"stages": ["pretrain", "adapt"]}
learned = {
    "learned, shared": {},
    "learned, own": {"adapt.dual_of": "own"},
    "linear, own": {"adapt.unpaired_dual": "linear"},
}
fixed = {"estimated": {"adapt.unpaired_dual": "estimated"}, "exact": {**two, "adapt.unpaired_dual": "known"}}


def arms(lams: tuple[float, ...], unpaired_lams: tuple[float, ...]) -> dict[str, dict[str, object]]:
    """Return the values of the axis D: each D at some λ, between the baseline and the control at the paper's λ."""
    return {
        "unadapted": {**two, "adapt.rho": 0.0},
        **{
            f"{name}, λ={lam:g}": {**two, **fields, "adapt.lam": lam}
            for name, fields in learned.items()
            for lam in lams
        },
        **{
            f"{name}, λ={lam:g}": {**fields, "adapt.rho": 0.7, "adapt.unpaired_lam": lam}
            for name, fields in fixed.items()
            for lam in unpaired_lams
        },
        "true pairs": {
            **two,
            "adapt.scheme": "paired",
            "adapt.rho": 0.0,
            "adapt.data.kernel": Ref("evaluate.0.kernel"),
        },
    }


paper_estimate = {"estimate.batch": 2, "estimate.lr": 2e-4, "estimate.steps": 3000}
large = {"*.data.source": "BSDS200", "adapt.unpaired.source": "T91", "margin": {"psnr_y": 0.05},
         "evaluate": [Evaluate(s, metrics=metrics) for s in ("Set5", "B100")],
         "axes": {"D": arms((0.1, 1.0, 3.0, 10.0), (0.1, 1.0, 3.0, 10.0))}}  # fmt: skip
# No flips, which would turn an oblique kernel and every estimate, and that of D with it; pretrain is that of dual_ablation.
two_cores = {"pretrain.steps": 2000, "pretrain.batch": 8, "pretrain.holdout": 3, "pretrain.validations": 8,
             "adapt.steps": 400, "adapt.batch": 8, "adapt.holdout": 3, "adapt.validations": 8,
             "axes": {"kernel": {k: {"*.unpaired.kernel": k, "evaluate.*.kernel": k, "adapt.augment": False} for k in kernels}},
             "evaluate": [Evaluate(s, metrics=metrics) for s in ("Set5", "Set14")]}  # fmt: skip

study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 8}, scale=4, stages=[pretrain, estimate, adapt],
               evaluate=[Evaluate("photos/test+photos/more", metrics=metrics)]),
    axes=[
        # Flips of patches would turn the oblique kernel, and that of D with it.
        Axis("kernel", {k: {"*.unpaired.kernel": k, "evaluate.*.kernel": k, "adapt.augment": k != kernels[2]} for k in kernels}),
        Axis("D", arms((0.1,), (10.0,))),
    ],
    seeds=3, baseline={"D": "unadapted"}, control={"D": "true pairs"},
    outputs=[Table(rows="D", columns="kernel"), DualKernel(x="kernel")],
    profiles={
        "tiny": {"estimate.unpaired.crop": 104, "estimate.unpaired_patch": 104},
        "workstation": {**large, **two_cores},
        "small": {**large, "model": {"n_blocks": 4, "n_feats": 16}, "*.batch": 16, **paper_estimate,
                  "pretrain.steps": 20_000, "adapt.steps": 5_000},
        "paper": {**large, "method": "drn-s", "model": {}, "*.batch": 32, "*.patch": 384, "*.lr": 1e-4, "*.data.source": "DF2K",
                  "adapt.unpaired.source": "BSDS200", "adapt.unpaired_patch": 320, **paper_estimate,
                  "estimate.unpaired.source": "BSDS200", "pretrain.steps": 1_000_000, "adapt.steps": 100_000},
    },
)  # fmt: skip
