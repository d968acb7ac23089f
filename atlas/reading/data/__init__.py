"""Grammars and places as data; docs/questions.md says how to add to them."""
