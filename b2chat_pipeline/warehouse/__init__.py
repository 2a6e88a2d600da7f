"""PostgreSQL: the schema and its migrations, the one write path into it, the raw pages and the request budget.

Knows nothing of Dagster and nothing of how the vendor's API is asked.
"""
