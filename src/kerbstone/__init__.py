"""Kerbstone: the offline engine of a self-driving fleet."""

__version__ = "0.1.0"
