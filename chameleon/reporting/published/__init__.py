"""Numbers printed in papers beside the ones measured here."""
