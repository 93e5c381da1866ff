class Failure(Exception):
    """A sentence that says what to do."""
