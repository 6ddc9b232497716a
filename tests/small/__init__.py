"""Writers of small logs in outside formats: what the formats' own tests and the flows read."""
