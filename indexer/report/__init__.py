"""The report of a build: what came in, what became of it, how long it took and how good it is."""
