"""Runs into MLflow and out of it again."""
