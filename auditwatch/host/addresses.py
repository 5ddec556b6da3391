"""Addresses to listen on, as people write them."""

from __future__ import annotations


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[::1]:port` or `:port`; an empty host means all interfaces.

    >>> parse_address("127.0.0.1:9973"), parse_address("[::1]:0"), parse_address(":9973")
    (('127.0.0.1', 9973), ('::1', 0), ('', 9973))

    Raises:
        ValueError: The address has none of these forms; the message continues a sentence that begins with the address.
    """
    host, colon, port = address.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_number = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 1 << 16
    if not colon or not is_number or (":" in host and not is_bracketed):
        raise ValueError('is not HOST:PORT, such as "127.0.0.1:9973" or "[::1]:9973"')
    return (host[1:-1] if is_bracketed else host), int(port)
