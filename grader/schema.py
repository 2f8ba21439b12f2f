"""A JSON Schema's complaints in words that name the key, what was wanted and what was found."""

import json
from collections.abc import Iterator
from typing import Any

from grader.errors import Fault, did_you_mean
from grader.messages import Message, text

_TYPES = {
    "string": text("must be text"),
    "integer": text("must be a whole number"),
    "number": text("must be a number"),
    "boolean": text("must be true or false"),
    "array": text("must be a list"),
    "object": text("must be a table"),
}
_WANTED = {
    "minimum": text("must be >= {value}"),
    "maximum": text("must be <= {value}"),
    "exclusiveMinimum": text("must be > {value}"),
    "const": text("must be {value}"),
    "minLength": text("must not be empty"),
    "minProperties": text("must not be empty"),
    "minItems": text("must hold at least {value}"),
    "maxItems": text("must hold at most {value}"),
    "uniqueItems": text("must not say the same twice"),
}


def faults(file: str, schema: dict[str, Any], data: object) -> list[Fault]:
    """Everything in `data` that is against the schema; jsonschema is slow to import, so only here and only now."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

    errors = sorted(Draft202012Validator(schema).iter_errors(data), key=lambda error: [str(p) for p in error.path])
    return list({str(fault): fault for error in errors for fault in _faults(file, error)}.values())


def _faults(file: str, error: Any) -> Iterator[Fault]:
    """One complaint of jsonschema; those about keys stand for all the keys concerned."""
    key, value, limit = _key(error.path), error.instance, error.validator_value
    match error.validator:
        case "required":
            for name in limit:
                if name not in value:
                    yield Fault(file, _key([*error.path, name]), text("is missing"))
        case "additionalProperties":
            known = error.schema["properties"]
            for name in value:
                if name not in known:
                    yield Fault(
                        file, _key([*error.path, name]), text("is not a known field"), help=did_you_mean(name, known)
                    )
        case "type":
            yield Fault(file, key, _TYPES[limit], _shown(value))
        case "enum":
            help = did_you_mean(value, limit) if isinstance(value, str) else ""
            yield Fault(file, key, text("must be one of {values}", values=[*map(str, limit)]), _shown(value), help)
        case "pattern":
            yield Fault(file, key, text("must look like {example}", example=error.schema["examples"][0]), _shown(value))
        case "minItems" | "maxItems":
            yield Fault(file, key, _wanted(error.validator, limit), str(len(value)))
        case other:
            yield Fault(file, key, _wanted(other, limit), _shown(value))


def _wanted(validator: str, limit: object) -> Message:
    return text(_WANTED[validator].code, value=limit)


def _key(path: Any) -> str:
    """`hints[1].en`"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
