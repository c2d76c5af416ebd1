"""What programs need before Keras is loaded: backends, run folders, one-line errors."""
