"""Tests of the client to model servers."""
