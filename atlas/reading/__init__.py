"""Reads questions: which words say where, when, what taxon, and which are left to the encoder."""
