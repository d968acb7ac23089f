"""The illustrated demonstration atlas: drawings of real species on real land, and their model.

It makes what a fresh machine lacks: a folder of pictures with Darwin Core records, and a small
OpenCLIP model that was trained on such drawings. It knows nothing of the server or the indexer.
"""
