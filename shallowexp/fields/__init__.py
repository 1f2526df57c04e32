"""Fields: sweeps over two continuous axes whose networks are pixels, tracked as one run each."""
