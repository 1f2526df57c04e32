"""The words that experiments speak: claims, statistics, verdicts and figures."""
