"""A run: a folder that can be killed at any moment, belongs to one process at a time, and is resumed."""
