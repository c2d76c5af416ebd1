"""Names of attributes: the one to show by default, and how to shorten names and lists."""

LONGEST = 24  # characters of a shortened name
NAMED = 3  # items of a list that a sentence names


def favourite(names):
    """Returns the attribute to show by default: "smiling", or else the first."""
    return next((name for name in names if name.lower() == "smiling"), names[0])


def short(name):
    """Returns a name on one line, shortened to at most 24 characters."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def first_few(items):
    """Returns the first items of a list as part of a sentence, and how many others there are."""
    named, others = items[:NAMED], len(items) - NAMED
    if others <= 0:
        return ", ".join(named)
    return f"{', '.join(named)} and {others:,} other{'s' if others > 1 else ''}"
