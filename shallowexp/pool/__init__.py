"""Where batches are trained: in this process, or by workers beside it and elsewhere. No store."""
