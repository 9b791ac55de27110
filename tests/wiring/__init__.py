"""Tests of what the parts are joined to."""
