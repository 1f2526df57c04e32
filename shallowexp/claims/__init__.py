"""The words that experiments speak: claims, statements, statistics and figures."""
