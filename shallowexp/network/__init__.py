"""The chapter's page: activations, initial weights, outputs, data, the two passes, and what is measured on them."""
