"""Faults done to real relays, and a checker of what people lived through meanwhile."""
