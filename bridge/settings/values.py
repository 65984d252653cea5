"""What stands in several sections: durations, lists, names."""

from __future__ import annotations

import base64
import json
import re
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

# What people wrote is validated with this context.
WRITTEN = "written"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def signing_key(text: str) -> bytes:
    """The bytes of a webhook's signing key as GitLab shows it; ValueError for anything else."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not (text.startswith("whsec_") and key):
        raise ValueError("copy the key from GitLab as it is: whsec_ and then base64")
    return key


def seconds(value: object, info: ValidationInfo) -> object:
    """ "90s", "10m", "6h" or "1d" → seconds; ValueError for anything else.

    A number alone that a person wrote is refused: one means seconds, the next minutes. A program
    means seconds.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and info.context != WRITTEN:
        return float(value)
    text = "" if isinstance(value, bool) else str(value).strip()
    found = _DURATION.fullmatch(text)
    if found:
        return float(found[1]) * _UNITS[found[2]]
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("write a duration like 90s, 10m, 6h or 1d")
    if float(text) == 0:
        return 0.0
    raise ValueError(f"{text} of what? Write the unit: {text}s, {text}m or {text}h")


def _is_json_list(text: str) -> bool:
    if not text.lstrip().startswith("["):
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False  # such as a glob


def as_list(value: object) -> object:
    """A lone text is a list of one; in a variable, commas separate."""
    if isinstance(value, str):
        if _is_json_list(value):
            raise ValueError("write the items with commas between them, such as a,b, and no JSON")
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "pattern": r"^[0-9]+(\.[0-9]+)?\s*[smhd]?$",
            "x-message": "must be a duration like 90s, 10m, 6h or 1d",
        }
    ),
]


TextList = Annotated[tuple[str, ...], BeforeValidator(as_list)]


def _no_file(value: str) -> str:
    """A source's name; GITLAB_TOKEN_FILE is a variable already."""
    if value == "file" or value.endswith("-file"):
        raise ValueError("a name that ends in `file` makes a variable that names a file")
    return value


# What people call one of several, and variables end with.
OwnName: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"),
    AfterValidator(_no_file),
]


class Section(BaseModel):
    """A part of the settings: what it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
