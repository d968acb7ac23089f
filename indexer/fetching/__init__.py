"""Fetches photos from the web, no faster than their hosts allow."""
