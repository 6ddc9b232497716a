"""Plain words to the scenario language, offline: tokens, phrases, and what they mean."""
