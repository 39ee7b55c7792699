"""Schemathesis against a running intake: what the OpenAPI description says is held against what it does."""
