"""Mixing methods the paper is compared with: one method, one file (see chameleon.mixing)."""
