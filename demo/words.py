"""How the page writes the names of attributes, and how many of them it shows at once."""

IN_VIEW = 9  # attributes that are always in view; others fold away


def label(name):
    """Returns the name of an attribute as a label: ``"wavy_hair"`` is "Wavy hair"."""
    text = " ".join(name.replace("_", " ").split()) or name
    return text[:1].upper() + text[1:]
