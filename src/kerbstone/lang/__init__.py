"""The scenario language: what to look for, said over road users and time."""

from kerbstone.lang.atoms import Atom, measure_atoms
from kerbstone.lang.bindings import REACH
from kerbstone.lang.compiler import compile_query
from kerbstone.lang.evaluation import Answer, evaluate
from kerbstone.lang.facts import Facts
from kerbstone.lang.formula import Compiled
from kerbstone.lang.kinds import KINDS
from kerbstone.lang.parser import parse_library, parse_query
from kerbstone.lang.printer import print_query, print_scenario
from kerbstone.lang.registry import Signal, known_signals, signal
from kerbstone.lang.units import UNITS

__all__ = [
    "KINDS",
    "REACH",
    "UNITS",
    "Answer",
    "Atom",
    "Compiled",
    "Facts",
    "Signal",
    "compile_query",
    "evaluate",
    "known_signals",
    "measure_atoms",
    "parse_library",
    "parse_query",
    "print_query",
    "print_scenario",
    "signal",
]
