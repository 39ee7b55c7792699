"""Flower with outdial's settings: behind a password, read-only, bounded in memory."""
