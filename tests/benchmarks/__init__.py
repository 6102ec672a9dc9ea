"""Measures that anyone can repeat. Not tests: a machine's speed is no property of the code."""
