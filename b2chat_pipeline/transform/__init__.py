"""Runs the SQL models of `dbt_like_sql/` without dbt: reads the project, orders it, builds it in PostgreSQL, tests it.

Here belongs what any such folder needs. Not here: what a model means (its own file says it), and Dagster.
"""
