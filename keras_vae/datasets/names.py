"""What attributes are called: which name comes first, and how much of it there is room for."""

LONGEST = 24  # letters of a user's name for something
NAMED = 3  # items of a list that a sentence names


def favourite(names):
    """Returns the attribute to show where none was asked for: a smile, or else the first."""
    return next((name for name in names if name.lower() == "smiling"), names[0])


def short(name):
    """Returns a name that leaves room for the picture."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def first_few(items):
    """Returns the first items of a list for a sentence, and how many others there are."""
    named, others = items[:NAMED], len(items) - NAMED
    if others <= 0:
        return ", ".join(named)
    return f"{', '.join(named)} and {others:,} other{'s' if others > 1 else ''}"
