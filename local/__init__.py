"""Everything in one process, with no service outside it."""
