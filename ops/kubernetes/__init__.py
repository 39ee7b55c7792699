"""Manifests for Kubernetes, and what must hold for them."""
