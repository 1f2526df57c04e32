"""Tracked runs become figures, statements and one page."""
