"""Inputs made by chance against everything that a stranger's bytes reach: `make fuzz`."""
