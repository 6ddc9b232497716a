"""A small drive as a plain table, for tests of whole commands and of the documentation."""

from pathlib import Path

HEADER = "time_s,agent,kind,x,y,heading,length,width,ego\n"


def write_drive(path: Path, *, steps: int = 20, speed: float = 10.0) -> Path:
    """Write a car of our own, a car ahead of it, and a pedestrian who crosses."""
    rows = [HEADER]
    for step in range(steps):
        time = step / 10
        rows.append(f"{time:.1f},ego,car,{time * speed:.3f},0,0,4.8,1.9,true\n")
        rows.append(f"{time:.1f},7,car,{20 + time * speed / 2:.3f},0,0,4.5,1.8,false\n")
        rows.append(f"{time:.1f},p,pedestrian,30,{time - 1:.3f},1.5708,0.6,0.6,false\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(rows), encoding="utf-8")
    return path
