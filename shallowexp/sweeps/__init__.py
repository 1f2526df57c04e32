"""Runs, trained batch by batch and tracked under one parent."""
