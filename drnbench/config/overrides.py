"""Paths into a trial: `adapt.rho`, `*.steps`, `adapt.loss.fft`, `model.n_feats`, `evaluate.*.crop`, `scale`, `stages`.

The first word is a stage's name, `*` for every stage, or a field of the trial. `stages` takes the names of the declared
stages that are used, in order. Overrides change the dictionary of a trial, which is then validated as a whole, so a wrong
value is refused like a wrong constructor argument.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from drnbench.config.loss import loss_terms
from drnbench.config.plain import plain
from drnbench.config.trial import NAMED_FIELDS, Data, Evaluate, Stage, Trial, explain
from drnbench.errors import UsageError, nearest
from drnbench.registry import Registry

M = TypeVar("M", bound=BaseModel)
_CHILDREN: dict[str, type[BaseModel]] = {"data": Data, "unpaired": Data}


@dataclass(frozen=True)
class Ref:
    """The value of an override that is read from another path, after all other overrides are set."""

    path: str


def parse_value(text: str) -> Any:
    """Return the value of `--set path=value`: that of JSON or of Python's True, False and None, else the text itself.

    >>> parse_value("0.1"), parse_value("[2, 4]"), parse_value("None"), parse_value("bd:sigma=2.0")
    (0.1, [2, 4], None, 'bd:sigma=2.0')
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def apply(trial: Trial, overrides: dict[str, Any], where: str) -> Trial:
    """Return `trial` with every path of `overrides` set, validated.

    >>> trial = Trial(stages=[Stage("train", data=Data("photos/train"), steps=10)], evaluate=[Evaluate("photos/test")])
    >>> changed = apply(trial, {"train.steps": 20, "*.data.kernel": "bd", "scale": Ref("train.batch")}, "example")
    >>> changed.stages[0].steps, changed.stages[0].data.kernel, changed.scale
    (20, 'bd', 8)

    Args:
        trial: the configuration to start from.
        overrides: path -> value.
        where: study, profile or arm, for messages.

    Raises:
        UsageError: a path or a value is wrong.

    """
    raw, overrides = trial.model_dump(), plain(overrides)
    # Stages are chosen last, so that overrides of a stage that is not used are no error.
    last = {"stages"} & overrides.keys()
    for path, value in overrides.items():
        if path not in last and not isinstance(value, Ref):
            _set(raw, path, value, where)
    for path, value in overrides.items():
        if isinstance(value, Ref):
            _set(raw, path, _get(raw, value.path, where), where)
    if last:
        raw["stages"] = _choose(raw["stages"], overrides["stages"], where)
    return validated(Trial, raw, where)


def path_problem(trial: Trial, path: str, where: str) -> str | None:
    """Return the message on a path that an override of `trial` cannot set; None for one that it can."""
    try:
        if path != "stages":
            _set(trial.model_dump(), path, None, where)
    except UsageError as error:
        return str(error)
    return None


def _choose(stages: list[dict[str, Any]], names: Any, where: str) -> list[dict[str, Any]]:
    """Return the stages of these names, in this order."""
    by_name = {stage["name"]: stage for stage in stages}
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{where}: 'stages' takes a list of names of declared stages (got {names!r})")
    for name in names:
        if name not in by_name:
            raise UsageError(f"{where}: no stage {name!r} is declared: {nearest(name, by_name)}")
    return [by_name[name] for name in names]


def _get(raw: dict[str, Any], path: str, where: str) -> Any:
    """Return the value at a path without `*`."""
    stages = {stage["name"]: stage for stage in raw["stages"]}
    value: Any = {**raw, **stages}
    for part in path.split("."):
        if isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            indices = range(len(value)) if isinstance(value, (list, tuple)) else ()
            parts = value if isinstance(value, dict) else map(str, indices)
            raise UsageError(f"{where}: Ref({path!r}) finds no {part!r}: {nearest(part, parts)}")
    return value


def validated(model: type[M], raw: dict[str, Any], where: str) -> M:
    """Build `model` from `raw`; pydantic's report becomes one line that names the path."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, raw)}") from error


def from_spec(registry: Registry[type[M]], spec: str) -> M:
    """Return the entry of a registry that `name` or `name:parameter=value,...` describes; its fields are the parameters.

    Raises:
        UsageError: an unknown name or parameter, or a bad value.
    """
    name, colon, rest = spec.partition(":")
    kind = registry.get(name.strip())
    fields = dict(item.partition("=")[::2] for item in rest.split(",")) if colon else {}
    values = {key.strip(): parse_value(text.strip()) for key, text in fields.items()}
    return validated(kind, values, f"{registry.kind} {spec!r}")


def _set(raw: dict[str, Any], path: str, value: Any, where: str) -> None:
    head, _, rest = path.partition(".")
    stages = {stage["name"]: stage for stage in raw["stages"]}
    if head == "stages":
        raise UsageError(
            f"{where}: no such path {path!r}: name the stage itself, as in {min(stages, default='train')}.steps"
        )
    if head == "model" and rest:
        raw["model"] = {**raw["model"], rest: value}
    elif head == "protocol" and rest:
        raw["protocol"] = {**raw["protocol"], rest: value}
    elif head == "evaluate" and rest:
        index, _, field = rest.partition(".")
        for i in _indices(index, len(raw["evaluate"]), path, where):
            _field(raw["evaluate"][i], field, value, Evaluate, path, where)
    elif head == "*" and rest:
        for stage in stages.values():
            if not (rest.startswith("unpaired.") and stage["unpaired"] is None):
                _field(stage, rest, value, Stage, path, where)
    elif head in stages and rest:
        _field(stages[head], rest, value, Stage, path, where)
    elif head in Trial.model_fields and not rest and head not in {"stages", "seed"}:
        raw[head] = _plain(value)
    elif head in Stage.model_fields and head not in Trial.model_fields:
        own = " or ".join(f"'{name}.{path}'" for name in (*stages, "*"))
        raise UsageError(f"{where}: no such path {path!r}: {head} is a field of a stage, {own}")
    else:
        heads = [*stages, *(name for name in Trial.model_fields if name not in {"stages", "seed"})]
        raise UsageError(f"{where}: no such path {path!r}: {nearest(head, heads)}")


def _indices(index: str, n: int, path: str, where: str) -> range | list[int]:
    if index == "*":
        return range(n)
    if index.isdigit() and int(index) < n:
        return [int(index)]
    raise UsageError(f"{where}: {path!r}: say which evaluation, evaluate.0 to evaluate.{n - 1} or evaluate.*")


def _field(raw: dict[str, Any], path: str, value: Any, model: type[BaseModel], full: str, where: str) -> None:
    head, _, rest = path.partition(".")
    if head == "options" and rest and model is Stage:
        raw["options"] = {**raw["options"], rest: value}
        return
    if head == "loss" and rest and model is Stage:
        try:
            raw["loss"] = {**loss_terms(raw["loss"]), rest: value}
        except ValueError as error:
            raise UsageError(f"{where}: {full}: {error}") from error
        return
    if head not in model.model_fields:
        before = full.removesuffix(path)
        known = nearest(head, model.model_fields, NAMED_FIELDS, before=before)
        raise UsageError(f"{where}: no such path {full!r}: {known}")
    if not rest:
        raw[head] = _plain(value)
        return
    child = _CHILDREN.get(head)
    if child is None:
        raise UsageError(f"{where}: no such path {full!r}: {head!r} has no fields of its own")
    if raw[head] is None:
        raise UsageError(f"{where}: {full!r}: this stage has no {head!r} to change")
    raw[head] = dict(raw[head])
    _field(raw[head], rest, value, child, full, where)


def _plain(value: Any) -> Any:
    """Return models (`Data(...)`), also inside lists, as dictionaries."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
