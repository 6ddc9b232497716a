"""What a user types, as a query: in the language, by a name, in words, or by a model."""
