"""Scenes kept as Lance tables, with versions and lineage, and the map over many processes."""

from kerbstone.store.parallel import parallel_map
from kerbstone.store.runs import Run
from kerbstone.store.store import Store

__all__ = ["Run", "Store", "parallel_map"]
