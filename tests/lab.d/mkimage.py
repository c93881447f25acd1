#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""mkimage.py OUT NAME:SEED:FILES...: an EROFS image over layer blobs, for the lab.

Each NAME:SEED:FILES is a layer: the blob OUT-DIR/NAME.blob with that many files of random
bytes (the same for the same seed), found by the device tag NAME (64 characters at most).
OUT is the bootstrap: chunk-based inodes, 1 MiB chunks, no holes, as mkfs.lazyerofs lays
images out. OUT.sha256 lists all files for sha256sum -c."""
import hashlib, os, random, struct, sys

BLOCK, CHUNK = 4096, 1 << 20
SIZES = [1, 100, 4096, 5000, 70000, 300000]


def layer(directory, name, seed, count):
    """Write NAME.blob; returns [(file name, size, first block, digest)] and its blocks."""
    rnd, files, pos = random.Random(seed), [], 0
    with open(os.path.join(directory, name + ".blob"), "wb") as blob:
        for i in range(count):
            size = 9_000_000 if i == count // 2 else rnd.choice(SIZES)
            data = rnd.randbytes(size)
            files.append(("%s-%03d" % (name[:8], i), size, pos // BLOCK,
                          hashlib.sha256(data).hexdigest()))
            blob.write(data + bytes(-size % BLOCK))
            pos += size + -size % BLOCK
    return files, pos // BLOCK


def directory_blocks(entries):
    """Dirent blocks; entries = sorted [(name, nid, type)]; returns bytes."""
    out, chunk = [], []

    def flush():
        names, off, head = b"", 12 * len(chunk), b""
        for name, nid, kind in chunk:
            head += struct.pack("<QHBB", nid, off + len(names), kind, 0)
            names += name
        out.append(head + names)

    for entry in entries:
        if sum(12 + len(n) for n, _, _ in chunk) + 12 + len(entry[0]) > BLOCK:
            flush()
            chunk = []
        chunk.append(entry)
    flush()
    return b"".join(b.ljust(BLOCK, b"\0") for b in out[:-1]) + out[-1]


def inode(fmt, mode, nlink, size, u, ino):
    return struct.pack("<HHHHIIIIHHI", fmt, 0, mode, nlink, size, 0, u, ino, 0, 0, 0)


def image(layers):
    meta = bytearray(BLOCK)             # superblock, device table; inodes follow
    entries, inodes, ino = [], [], 2
    for number, (tag, files, _) in enumerate(layers, 1):
        for name, size, block, _ in files:
            count = (size + CHUNK - 1) // CHUNK
            body = inode(4 << 1, 0o100444, 1, size, 0x20 | (CHUNK // BLOCK).bit_length() - 1, ino)
            for c in range(count):
                body += struct.pack("<HHI", 0, number, block + c * CHUNK // BLOCK)
            inodes.append((name.encode(), body + bytes(-len(body) % 32)))
            ino += 1
    root_nid = BLOCK // 32
    nid = root_nid + 1
    table = bytearray(32)               # the root inode, filled in below
    for name, body in inodes:
        entries.append((name, nid, 1))
        table += body
        nid += len(body) // 32
    table += bytes(-len(table) % BLOCK)
    entries += [(b".", root_nid, 2), (b"..", root_nid, 2)]
    data = directory_blocks(sorted(entries))
    first = (BLOCK + len(table)) // BLOCK
    table[:32] = inode(0, 0o040755, 2, len(data), first, 1)
    blocks = first + (len(data) + BLOCK - 1) // BLOCK
    struct.pack_into("<IIIBBHQQIIII", meta, 1024, 0xE0F5E1E2, 0, 0, 12, 0, root_nid, ino - 1,
                     0, 0, blocks, 0, 0)
    struct.pack_into("<IHHH", meta, 1024 + 80, 0x4 | 0x8, 0, len(layers), 9)
    for number, (tag, _, size) in enumerate(layers):
        struct.pack_into("<64sII", meta, (9 + number) * 128, tag.encode(), size, 0)
    out = bytes(meta) + bytes(table) + data
    return out + bytes(-len(out) % BLOCK)


def main():
    out = sys.argv[1]
    directory = os.path.dirname(out) or "."
    layers = []
    for spec in sys.argv[2:]:
        name, seed, count = spec.split(":")
        files, blocks = layer(directory, name, int(seed), int(count))
        layers.append((name, files, blocks))
    with open(out, "wb") as f:
        f.write(image(layers))
    with open(out + ".sha256", "w") as f:
        for _, files, _ in layers:
            for name, _, _, digest in files:
                f.write("%s  %s\n" % (digest, name))


main()
