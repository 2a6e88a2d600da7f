"""From pages to rows: reads a window of the API into stored pages, and loads stored pages into the tables.

Here belongs what joins the API (`b2chat/`) and the warehouse (`warehouse/`), which do not know each other. Not here:
Dagster.
"""
