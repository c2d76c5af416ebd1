"""Labels of attributes."""

IN_VIEW = 9  # attributes that are always visible; an accordion holds the others


def label(name):
    """Returns the name of an attribute as a label: ``"wavy_hair"`` is "Wavy hair"."""
    text = " ".join(name.replace("_", " ").split()) or name
    return text[:1].upper() + text[1:]
