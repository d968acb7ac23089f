"""The HTTP API: wire schemas, parameters, problem documents, one controller for each noun.

Handlers hand over to use cases at once; nothing here reads a file or scores a vector.
"""
