"""Fuzzing of judge, scan and salvage: what holds for every input (`targets`), and how to search for exceptions."""
