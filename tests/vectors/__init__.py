"""Reference vectors: what was worked out once by plain, slow code, and is computed again by the product's own."""
