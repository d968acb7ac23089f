"""Prepares real files for the indexer and asks the atlas that it makes of them."""
