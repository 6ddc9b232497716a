"""The run-time type checker that jaxtyping's import hook puts around every function under test."""

from beartype import BeartypeConf, beartype

# An int is welcome where a float is asked for, as PEP 484 has it.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
