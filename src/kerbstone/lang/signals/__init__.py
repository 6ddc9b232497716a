"""The built-in signals, one module for each family."""
