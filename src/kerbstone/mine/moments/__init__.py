"""Moments of scenes as vectors: what they are like, and how critical they are."""
