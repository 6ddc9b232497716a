"""What the tests of filling tables let worker processes do; they import it by name."""

import pyarrow as pa

from kerbstone.errors import InputError


def count_agents(scene, names):
    counts = {"agents": len(scene.agents), "steps": scene.clock.steps}
    return pa.table(
        {
            "scene": [scene.id] * len(names),
            "name": list(names),
            "count": [counts[name] for name in names],
        }
    )


def fail_on_one(scene, names):
    if scene.id.endswith("1"):
        raise InputError("value", "this scene is no good")
    return count_agents(scene, names)
