"""The server: opens a bundle and answers questions about it."""
