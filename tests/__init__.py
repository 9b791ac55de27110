"""The tests, a folder a floor. Fakes that do the work stand beside the tests that use them."""

from __future__ import annotations
