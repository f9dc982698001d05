"""Care of what is on disk: verify, repair, backup, restore, and bundles that carry a recording elsewhere."""
