"""How large a picture may be that is unpacked: a file of a megabyte can hold gigabytes of pixels."""

MAX_PIXELS = 80_000_000
"""Pixels above which a picture is not decoded: 240 MB as RGB, and below Pillow's own alarm."""
