"""Answers for the faces: stored rows where they are current, computed ones elsewhere, as JSON records."""
