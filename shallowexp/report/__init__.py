"""Tracked runs become figures, verdicts and one page."""
