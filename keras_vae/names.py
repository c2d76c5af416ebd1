"""What attributes are called: which name comes first, and how much of it there is room for."""

LONGEST = 24  # letters of a user's name for something


def favourite(names):
    """Returns the attribute to show where none was asked for: a smile, or else the first."""
    return next((name for name in names if name.lower() == "smiling"), names[0])


def short(name):
    """Returns a name that leaves room for the picture."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
