"""Tests of the backend that speaks from a script."""
