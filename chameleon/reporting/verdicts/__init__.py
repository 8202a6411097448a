"""The papers' claims as sentences, and how a claim is put to the test."""
