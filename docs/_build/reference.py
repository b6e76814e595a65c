"""Parts of the documentation that are generated from the code: fields of a study file, verbs, kernels, studies."""

from __future__ import annotations

import html
import inspect
import io
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from drnbench import degradations, outputs
from drnbench.cli.app import VERBS, app
from drnbench.config import search, shipped
from drnbench.config.protocol import Protocol
from drnbench.config.study import Axis, Exclude, Primary, Study, Until
from drnbench.config.trial import Data, Evaluate, Scalar, Stage, Trial

CLASSES: tuple[type[BaseModel], ...] = (
    Study, Axis, Exclude, Primary, Until, Trial, Stage, Data, Evaluate, Protocol,
    search.Search, search.Float, search.Int, search.Steps, search.Choice, search.Objective, search.Median, search.Wilcoxon,
)  # fmt: skip
"""Classes of a study file beside its outputs, in the order of the page."""
BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"), ("min_length", "length ≥"), ("pattern", "matches"))
ENTITIES = {letter: f"&#{ord(letter)};" for letter in "&<|*[_`"}
"""Letters that mean something to HTML or Markdown."""
NAMED_TYPES = {Scalar: "value", Any: "any value"}
KERNEL_PICTURES = (
    ("bicubic", "bicubic"), ("blur-down", "bd"), ("Gaussian, σ = 2", "gaussian:sigma=2.0"),
    ("MZSR, λ = 2", "gaussian:sigma=1.4142135623730951,size=15,phase=zero"),
    ("anisotropic, 3 × 1 at 45°", "anisotropic:sigma_x=3.0,sigma_y=1.0,angle=45"),
    ("nearest", "nearest"),
)  # fmt: skip
"""Title and spec of the kernels that the page on degradations shows."""
CELL = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
"""Corners of the cell of an LR pixel, in half cells from its middle."""
WINDOW = 16
"""Side of each picture in HR pixels."""


def cell(text: str) -> str:
    """Return a text as one cell of a Markdown table."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("*", "\\*")


def code(text: str) -> str:
    """Return a text as inline code in a cell of a Markdown table."""
    return f"<code>{''.join(ENTITIES.get(letter, letter) for letter in text)}</code>"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def type_text(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return a type as a reader writes it: `float > 0`, `"adam" or "adamw"`, `list of str`."""
    if annotation in NAMED_TYPES:
        return NAMED_TYPES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    limits = _limits(metadata)
    if origin is Annotated:
        return type_text(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, UnionType):
        parts = [type_text(argument) for argument in arguments if argument is not NoneType]
        none = ["None"] if NoneType in arguments else []
        return " or ".join(dict.fromkeys([*(f"{part}{limits}" for part in parts), *none]))
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin in (tuple, list, frozenset, set):
        kinds = [argument for argument in arguments if argument is not Ellipsis]
        each = ", ".join(dict.fromkeys(type_text(kind) for kind in kinds))
        return f"{len(kinds)} values: {each}" if Ellipsis not in arguments and len(kinds) > 1 else f"list of {each}"
    if origin is dict:
        return f"dict: {type_text(arguments[0])} → {type_text(arguments[1])}"
    return f"{getattr(annotation, '__name__', str(annotation)).replace('OutputSpec', 'output')}{limits}"


def _limits(metadata: Iterable[Any]) -> str:
    limits = []
    for constraint in metadata:
        for part in getattr(constraint, "metadata", None) or [constraint]:
            limits += [
                f" {sign} {getattr(part, name)}" for name, sign in BOUNDS if getattr(part, name, None) is not None
            ]
    return ",".join(dict.fromkeys(limits))


def default_text(field: FieldInfo) -> str:
    """Return the default of a field as a study file writes it; "required" where there is none."""
    if field.is_required():
        return "required"
    default = field.default if field.default_factory is None else field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "–"
    return code(f"{type(default).__name__}()" if isinstance(default, BaseModel) else repr(default).replace("'", '"'))


def first_paragraph(item: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(item) or "").partition("\n\n")[0].split())


def fields(model: type[BaseModel]) -> str:
    """Return the table of the fields of a class."""
    rows = [
        [
            code(name),
            code(type_text(field.annotation, field.metadata)),
            default_text(field),
            cell(field.description or ""),
        ]
        for name, field in model.model_fields.items()
        if field.repr is not False
    ]
    return table(["field", "type", "default", "description"], rows) if rows else ""


def study_fields() -> str:
    """Return the classes of a study file with every field."""
    parts = []
    for model in CLASSES:
        parts.append(f"## {model.__name__}\n\n{first_paragraph(model)}\n\n{fields(model)}")
    parts.append("## Outputs\n\nThose marked so are in every report; the others are named in `Study(outputs=[...])`.\n")
    for name in outputs.outputs.list():
        output = outputs.outputs.get(name)
        automatic = " In every report." if output.automatic else ""
        parts.append(f"### {output.__name__}\n\n{first_paragraph(output)}{automatic}\n\n{fields(output)}")
    return "\n\n".join(parts)


def verbs() -> str:
    """Return every verb with its arguments and options."""
    group = typer.main.get_group(app)
    parts = []
    for name, verb in VERBS.items():
        command: Any = group.get_command(None, name)  # type: ignore[arg-type]
        inner = getattr(command, "commands", None) or {}
        example = f"```\ndrnbench {verb.example}\n```\n\n" if verb.example else ""
        parts.append(f"## {name}\n\n{verb.summary}\n\n{example}{parameters(command)}")
        parts += [f"### {name} {word}\n\n{sub.help or ''}\n\n{parameters(sub)}" for word, sub in inner.items()]
    return "\n\n".join(parts)


def parameters(command: Any) -> str:
    """Return the table of arguments and options of a command."""
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        names = parameter.opts + parameter.secondary_opts
        shown = [parameter.metavar or parameter.name.upper()] if parameter.param_type_name == "argument" else names
        default = parameter.default
        plain = default not in (None, False, (), []) and not callable(default) and "Sentinel" not in repr(default)
        rows.append([
            ", ".join(map(code, shown)),
            "" if parameter.param_type_name == "argument" else code(parameter.metavar or kind(parameter)),
            code(str(default)) if plain else "",
            cell(parameter.help or ""),
        ])  # fmt: skip
    return table(["argument or option", "value", "default", "description"], rows) if rows else ""


def kind(option: Any) -> str:
    """Return the kind of value that an option takes, which typer keeps by its own names or by click's."""
    if option.is_flag:
        return "flag"
    described = getattr(option, "type_descriptor", None)
    name = type_text(described.annotation) if described is not None else str(option.type.name)
    return name.removesuffix(" or None").removeprefix("list of ")


def kernels() -> str:
    """Return the table of kernels and their parameters."""
    rows = []
    for name in degradations.kernels.list():
        kernel = degradations.kernels.get(name)
        own = [(word, field) for word, field in kernel.model_fields.items() if word not in ("noise", "jpeg")]
        listed = ", ".join(
            code(word if field.is_required() else f"{word}={field.get_default(call_default_factory=True)}")
            for word, field in own
        )
        rows.append([code(name), cell(kernel.summary), listed])
    return table(["kernel", "is", "parameters and defaults"], rows)


def studies() -> str:
    """Return the table of the studies that come with drnbench."""
    rows = [[code(name), cell(shipped.question(path))] for name, path in shipped.shipped().items()]
    return table(["study", "asks"], rows)


def kernel_picture(scale: int = 4) -> bytes:
    """Return a PNG of the weights of `KERNEL_PICTURES` at a scale, with the cell of the LR pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.9), dpi=160, layout="constrained")
    for axes, (title, spec) in zip(figure.subplots(1, len(KERNEL_PICTURES)), KERNEL_PICTURES, strict=True):
        weights = degradations.parse(spec).impulse(scale).numpy()
        largest, half = abs(weights).max(), len(weights) / 2
        axes.imshow(weights, cmap="RdBu_r", vmin=-largest, vmax=largest, extent=(-half, half, half, -half))
        axes.plot(*zip(*((x * scale / 2, y * scale / 2) for x, y in CELL), strict=True), color="black", linewidth=0.8)
        axes.set(
            xlim=(-WINDOW / 2, WINDOW / 2), ylim=(WINDOW / 2, -WINDOW / 2), xticks=[], yticks=[], facecolor="#f7f7f7"
        )
        axes.set_title(title, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def kernel_pictures() -> str:
    """Return the picture of `kernel_picture` with its caption."""
    caption = (
        "Weights of each HR pixel in one LR pixel at x4, 16 x 16 HR pixels; the square is the cell of the LR pixel."
    )
    return f"![{caption}](assets/kernels.png)\n\n{caption}\n"


NOT_ON_GITHUB = r"^\*\(This \w+ is generated and is not shown on GitHub; see .+\.\)\*\n\n(?=<!-- generated: )"
"""The line before a marker, for readers of the Markdown itself; the site leaves it out."""
GENERATED = {
    "fields": study_fields, "verbs": verbs, "kernels": kernels, "kernel_pictures": kernel_pictures, "studies": studies,
}  # fmt: skip
"""What replaces the marker `<!-- generated: NAME -->` in a page."""
