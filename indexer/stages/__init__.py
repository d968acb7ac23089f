"""Stages of a build: pure functions from part files to part files. They never import each other."""
