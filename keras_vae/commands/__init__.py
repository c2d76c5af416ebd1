"""The command line. Arguments are read, and mistakes reported, before Keras is loaded.

Its modules import what needs Keras inside functions; the rest of the package never imports them.
"""
