"""Scores: the rubric, checks, roll-ups, waivers."""
