"""Judging side by side: a board of jobs, the crew of a run, and workers here and elsewhere."""
