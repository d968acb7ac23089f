"""The tables of a catalog, one module for those that are made together; the stage calls them."""
