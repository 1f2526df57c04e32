"""Jobs in, results out: NumPy's engine and the compiled kernel. No configuration, no store."""
