"""Units of execution: the work of one worker process. Plain data, so that any engine can carry them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drnbench.config.protocol import Protocol
from drnbench.config.trial import Frozen, Scalar, Stage


class StageUnit(Frozen):
    """A stage to train: everything that its numbers depend on, and the key that they are stored under."""

    kind: Literal["stage"] = "stage"
    key: str
    model: str = Field(description="registered model")
    options: dict[str, Scalar] = Field(description="every size of the model")
    scale: int
    seed: int
    depth: int = Field(description="position of the stage in its trial; keeps its random numbers apart from others'")
    before: str | None = Field(description="key of the stage whose networks this one starts from")
    stage: Stage = Field(description="with its scheme filled in")
    data_digest: str = Field(description="fingerprint that the training data had when the key was made")
    unpaired_digest: str | None = None
    weights_digest: str | None = Field(None, description="content of the stage's `weights` when the key was made")
    dual_digest: str | None = Field(None, description="content of the stage's `dual_weights`")
    unpaired_dual_digest: str | None = Field(None, description="content of the stage's `unpaired_dual_weights`")
    split: int = Field(1, description="parts that a batch is taken in; set at run time, where the stage says `auto`")
    ready_digests: dict[str, str] = Field(
        default_factory=dict, description="fingerprint of each source of precomputed LR images"
    )
    kernel_digests: dict[str, str] = Field(
        default_factory=dict, description="digest of each kernel that reads a file, by its spec"
    )


class Evaluation(Frozen):
    """One metric on one test set under one degradation."""

    key: str
    source: str
    dataset: str = Field(description="label in tables")
    images: str = Field(description="fingerprint that the images had when the key was made")
    kernel: str
    crop: int | None
    count: int | None = None
    lr: str | None = Field(None, description="source of precomputed LR images")
    lr_images: str | None = Field(None, description="fingerprint that they had when the key was made")
    kernel_digest: str | None = Field(None, description="digest of a kernel that reads a file")
    metric: str


class EvaluateUnit(Frozen):
    """A model to score, trained or not: the evaluations that its trial lacks."""

    kind: Literal["evaluate"] = "evaluate"
    key: str = Field(description="the trial's key")
    stage: str | None = Field(description="key of the stage to score; None for a model that is not trained")
    model: str
    options: dict[str, Scalar]
    files_digest: dict[str, str] = Field(
        default_factory=dict, description="content of each file that the options name, when the key was made"
    )
    scale: int
    test_time: str | None = Field(None, description="adaptation of the network to each test image")
    clean_digest: str | None = Field(None, description="fingerprint of the clean images that the adaptation reads")
    seed: int
    protocol: Protocol
    wanted: Annotated[tuple[Evaluation, ...], Field(strict=False)]
    sr_images: dict[str, int] = Field(
        default_factory=dict, description="first images of each test set whose whole SR is kept, by `image_folder`"
    )
    inputs: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="those of these folders that keep LR and HR, too"
    )


Unit = StageUnit | EvaluateUnit
