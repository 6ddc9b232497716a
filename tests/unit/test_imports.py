import resource
import subprocess
import sys

import pytest

HEAVY = ("jax", "lance", "ray", "torch", "pyarrow", "shapely", "rich", "numpy")


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    script = (
        f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split("\n")[-2].split())


def test_importing_the_package_loads_nothing_heavy():
    assert not modules_after("import kerbstone") & set(HEAVY)


def test_the_command_line_starts_without_anything_heavy():
    assert not modules_after("import kerbstone.app.cli") & set(HEAVY)


def test_importing_the_scene_room_loads_numpy_and_scipy_only():
    loaded = modules_after("import kerbstone.scene")
    assert not loaded & {"jax", "lance", "ray", "pyarrow", "shapely", "torch"}
    assert "numpy" in loaded


def test_a_reader_is_loaded_without_the_others():
    code = "from kerbstone.formats import get_format; get_format('table')"
    script = f"import sys; {code}; print(*(n for n in sys.modules if n.startswith('kerbstone')))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    readers = {name for name in done.stdout.split() if name.startswith("kerbstone.formats.")}
    assert "kerbstone.formats.table" in readers
    assert not [name for name in readers if "sumo" in name or "av2" in name]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_is_there_within_half_a_second(arguments):
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "kerbstone", *arguments], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Time of the processor, and the best of a few: other work on the machine is not the command's.
    assert min(seconds() for _ in range(4)) < 0.5
