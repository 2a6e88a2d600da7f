"""A local stand-in for Claude's API, in which a set of rules named `simulated-judge` takes the place of a model.

Belongs here: the endpoints that scoring conversations needs, and the judge. Not here: sockets and faults, which it
shares with the simulated B2Chat (`simulator.server`, `simulator.faults`).
"""
