"""An hour of continuous work by Dagster's real processes: does anything grow that should not?"""
