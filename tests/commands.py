"""Commands run in the test's own process."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from kerbstone.app.cli import app


def run(*arguments: object, code: int = 0) -> Result:
    """Run a command and check how it ends."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def run_json(*arguments: object, code: int = 0) -> Any:
    """Run a command with `--json` and return what it prints."""
    return json.loads(run(*arguments, "--json", code=code).stdout)
