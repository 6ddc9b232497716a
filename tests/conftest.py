"""What all tests share: run-time shape checks, the real data, and tiny scenes."""

import os
from importlib.metadata import version
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
from jaxtyping import install_import_hook

# Tests compile much and run little: code that is compiled quickly passes them in half the time. It
# is said before JAX is imported, and only to a version that is known to know these words.
if version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    )

# Shapes in signatures are checked under test only, and only where a module has any: each check is a
# call of its own, and a parser makes very many. The hook must come before any import.
SOURCE = Path(__file__).parents[1] / "src"
install_import_hook(
    [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
        if "from jaxtyping import" in path.read_text("utf-8")
    ],
    "typecheck.check",
)

# The same examples on every run, and no deadline: a busy machine is no broken law.
hypothesis.settings.register_profile("kerbstone", deadline=None, derandomize=True)
hypothesis.settings.load_profile("kerbstone")


UNMEASURED = {"plan", "world", "judge"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage is of other rooms; to measure it where JAX programs are traced takes a third more."""
    unit = Path(__file__).parent / "unit"
    for item in items:
        if item.path.is_relative_to(unit) and item.path.relative_to(unit).parts[0] in UNMEASURED:
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of real driving data, or skip where it is absent."""
    root = Path(os.environ.get("KERBSTONE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("no real driving data: set KERBSTONE_DATA to the folder that holds it")
    return root


@pytest.fixture
def unchecked():
    """Switch the shape checks of the tests off, to see what a user sees who has none."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
