"""The laws of signals, for every signal that is built in but those of models."""

from laws.signal_laws import SignalLaws


class TestLaws(SignalLaws):
    pass
