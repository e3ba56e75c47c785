"""The JSON Schemas in docs/schemas, and a check of any document against one."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from conftest import ROOT

Json = Any
"""What `json.loads` gives."""

SCHEMAS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in (ROOT / "docs" / "schemas").glob("*.json")
}
"""Each schema by its name: `status`, `audit-who`, `error` …, and `parts`, which they share."""

_REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)


def check(name: str, document: object) -> None:
    """Raise ValidationError where a document does not keep to the schema of that name."""
    Draft202012Validator(SCHEMAS[name], registry=_REGISTRY).validate(document)
