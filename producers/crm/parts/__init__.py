"""What adapters are made of: proofs of origin, bodies, expressions, templates. None of it is an adapter."""
