"""The vocabulary of experiments: claims, statistics, verdicts and figures."""
