"""Peers that mean harm, and a room that should not notice."""
