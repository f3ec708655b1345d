"""How the hashes of the history are kept: in tiles of height 8, as in C2SP tlog-tiles.

A tile of level 0 holds the hashes of up to 256 leaves that stand side by side, one of level 1 those of up
to 256 full tiles of level 0, and so on. Every other hash of the tree is made from one tile.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from domain.history import HASH_BYTES, Node, Span, span_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES


class Tile(NamedTuple):
    """Up to 256 hashes that stand side by side: those of the complete subtrees of 256**level leaves."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where C2SP tlog-tiles puts the tile, such as ``0/x001/234`` or ``1/000.p/5``."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"{self.level}/{'/'.join(groups)}{suffix}"


def parse_tile_path(path: str) -> Tile | None:
    """Return the tile at a path; None when no tile has that path."""
    place, partial, width = path.partition(".p/")
    level, *groups = place.split("/")
    digits = "".join(group.removeprefix("x") for group in groups)
    numbers = (level, digits, width if partial else str(TILE_WIDTH))
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):
        return None
    tile = Tile(*map(int, numbers))
    is_one = tile.level < 64 and 0 < tile.width <= TILE_WIDTH and tile.path == path
    return tile if is_one else None


def width_of(level: int, number: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of ``size`` leaves; 0 when it has no such tile."""
    on_level = size >> TILE_HEIGHT * level
    return max(0, min(TILE_WIDTH, on_level - number * TILE_WIDTH))


def tile_of(node: Node) -> tuple[int, int]:
    """Return level and number of the tile from which a node's hash is made."""
    level, height = divmod(node.level, TILE_HEIGHT)
    return level, node.number >> (TILE_HEIGHT - height)


def hash_in_tile(node: Node, hashes: bytes | bytearray) -> bytes:
    """Return the hash of a node, from the hashes of its tile."""
    width = 1 << node.level % TILE_HEIGHT
    first = node.number * width % TILE_WIDTH
    part = bytes(hashes[first * HASH_BYTES : (first + width) * HASH_BYTES])
    if len(part) < width * HASH_BYTES:
        raise ValueError(f"The tile does not reach to the node {node}.")
    return _complete_hash(part)


def _complete_hash(hashes: bytes) -> bytes:
    """Return the hash above hashes that stand side by side; their number is a power of two."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[i : i + 64]).digest() for i in pairs])
    return hashes


class RightEdge:
    """The tiles at the right edge of a tree, which are all that it takes to let it grow."""

    def __init__(self, size: int = 0, tiles: Mapping[tuple[int, int], bytes] | None = None) -> None:
        """Begin with the edge of a tree of ``size`` leaves; ``tiles`` holds what ``edge_tiles`` names."""
        self.size = size
        known = tiles or {}
        self._edge = [bytearray(known[tile.level, tile.number]) for tile in edge_tiles(size)]

    def add(self, hashes: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
        """Add leaves, and return all tiles that changed, by level and number."""
        changed: dict[tuple[int, int], bytes] = {}
        level, first, added = 0, self.size, b"".join(hashes)
        while added:
            if level == len(self._edge):
                self._edge.append(bytearray())
            edge, number, above = self._edge[level], first // TILE_WIDTH, []
            edge += added
            full = len(edge) - len(edge) % TILE_BYTES
            for start in range(0, full, TILE_BYTES):
                tile = changed[level, number] = bytes(edge[start : start + TILE_BYTES])
                above.append(_complete_hash(tile))
                number += 1
            del edge[:full]
            if edge:
                changed[level, number] = bytes(edge)
            level, first, added = level + 1, first // TILE_WIDTH, b"".join(above)
        self.size += len(hashes)
        return changed

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return span_hash(Span(0, self.size), self._read)

    def _read(self, node: Node) -> bytes:
        return hash_in_tile(node, self._edge[tile_of(node)[0]])


def edge_tiles(size: int) -> list[Tile]:
    """Return, for each level of a tree of ``size`` leaves, the tile that the next hash is added to.

    Its width is 0 where the level's last tile is full.
    """
    tiles: list[Tile] = []
    while size:
        tiles.append(Tile(len(tiles), size // TILE_WIDTH, size % TILE_WIDTH))
        size >>= TILE_HEIGHT
    return tiles
