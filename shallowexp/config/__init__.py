"""From Hydra's configuration to runs that are checked and have a fingerprint."""
