"""Tests of what comes between a request and a run."""
