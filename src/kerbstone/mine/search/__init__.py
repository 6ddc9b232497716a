"""The search of a query through a store: what it answers, keeps, ranks and records."""
