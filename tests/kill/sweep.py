# SPDX-License-Identifier: GPL-2.0-or-later
"""sweep.py [--threads N] [--only SUBSTRING] [--max-files N] [--seed N] [--give-up]
         [--names FILE] DIR TRUTH

Read every regular file below DIR (a lazy mount) and compare it with the file of that name
below TRUTH: many threads, files in random order, pieces of a file in random order and of
random sizes. Prints one line:

  files=READ whole=OF right=N eio=N zero=N wrong=N other=N max_ms=LONGEST_READ

where right, eio, zero (wrong, and a page of it is all zeros), wrong and other (another
error, a short read) count pieces. Names of damaged files go to stderr. Exit code: 3 a byte
was wrong, 4 other, 1 EIO, 0 all right.
"""
import argparse
import errno
import os
import random
import stat
import sys
import threading
import time

PAGE = 4096
ZEROS = bytes(PAGE)

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=12)
parser.add_argument("--only", default="")
parser.add_argument("--max-files", type=int)
parser.add_argument("--seed", type=int, default=None)
parser.add_argument("--give-up", action="store_true", help="of a file after its first error")
parser.add_argument("--names", help="file for the names of files with errors")
parser.add_argument("dir")
parser.add_argument("truth")
args = parser.parse_args()

counts = dict.fromkeys(("files", "right", "eio", "zero", "wrong", "other"), 0)
max_s = 0.0
bad_names = set()
lock = threading.Lock()


def pieces(size, rng):
    cuts = [0]
    while cuts[-1] < size:
        cuts.append(min(size, cuts[-1] + rng.choice((PAGE, 5000, 16384, 65536, 200000))))
    found = list(zip(cuts, cuts[1:]))
    rng.shuffle(found)
    return found


def judge(got, want):
    if len(got) != len(want):
        return "other"
    if got == want:
        return "right"
    for at in range(0, len(got), PAGE):
        page = got[at:at + PAGE]
        if page != want[at:at + PAGE] and page == ZEROS[:len(page)]:
            return "zero"
    return "wrong"


def read_file(name, rng):
    global max_s
    with open(os.path.join(args.truth, name), "rb") as f:
        want = f.read()
    fd = os.open(os.path.join(args.dir, name), os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(fd).st_size
        for begin, end in pieces(max(size, len(want)), rng):
            start = time.monotonic()
            try:
                got = os.pread(fd, end - begin, begin)
                # A read ends before a page that fails: ask for the rest.
                while 0 < len(got) < end - begin:
                    more = os.pread(fd, end - begin - len(got), begin + len(got))
                    if not more:
                        break
                    got += more
                result = judge(got, want[begin:end])
            except OSError as error:
                result = "eio" if error.errno == errno.EIO else "other"
                if result == "other":
                    print(f"{name} at {begin}: {error}", file=sys.stderr)
            with lock:
                counts[result] += 1
                max_s = max(max_s, time.monotonic() - start)
                if result != "right":
                    bad_names.add(name)
                    if result != "eio":
                        print(f"{result}: {name} {begin}-{end}", file=sys.stderr)
            if args.give_up and result != "right":
                break
    finally:
        os.close(fd)
    with lock:
        counts["files"] += 1


def run(number):
    rng = random.Random(seed + number)
    while True:
        with lock:
            if not names:
                return
            name = names.pop()
        try:
            read_file(name, rng)
        except OSError as error:
            with lock:
                counts["other"] += 1
                print(f"{name}: {error}", file=sys.stderr)


seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "little")
names = []
for root, _, files in os.walk(args.truth):
    for file in files:
        path = os.path.join(root, file)
        name = os.path.relpath(path, args.truth)
        if args.only in name and stat.S_ISREG(os.lstat(path).st_mode):
            names.append(name)
names.sort()
random.Random(seed).shuffle(names)
names = names[:args.max_files]
whole = len(names)
threads = [threading.Thread(target=run, args=(i + 1,)) for i in range(args.threads)]
for t in threads:
    t.start()
for t in threads:
    t.join()
if args.names:
    with open(args.names, "w") as f:
        f.writelines(n + "\n" for n in sorted(bad_names))
c = counts
print(f"files={c['files']} whole={whole} right={c['right']} eio={c['eio']} zero={c['zero']} "
      f"wrong={c['wrong']} other={c['other']} max_ms={int(max_s * 1000)} seed={seed}")
sys.exit(3 if c["zero"] or c["wrong"] else 4 if c["other"] else 1 if c["eio"] else 0)
