"""How fast and how small the load is, as ratios within one run: `make bench`. Not part of the test suite.

Every measure sets what the pipeline does against something simpler that the same machine does minutes apart, so the
numbers say something on any machine. The request rate is not limited; HTTP is included, from a simulator in its own
process whose pages have been made beforehand; PostgreSQL is the embedded one with the settings it always has.
"""
