#!/usr/bin/env python3
"""Verifies an audit export or an evidence pack of Watchfloor with nothing but the Python standard library.

    verify_audit.py EXPORT.json [--openssl DIR]
    verify_audit.py PACK.zip [--key PUBLIC.pem]

Checks the signature of the checkpoint (Ed25519, RFC 8032), that every leaf is what its hash says, and that every leaf is
in the tree whose root was signed (RFC 6962). --openssl writes what `openssl pkeyutl -verify -rawin` takes.
"""
import base64
import hashlib
import json
import os
import sys
import zipfile

# Ed25519 over the field of 2^255 - 19.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - xx) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return P - x if x & 1 != sign else x


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return (x, y, 1, x * y % P)


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(n, a):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, a)
        a, n = add(a, a), n >> 1
    return out


def signature_holds(key, message, signature):
    base_y = 4 * pow(5, P - 2, P) % P
    base = (recover_x(base_y, 0), base_y, 1, recover_x(base_y, 0) * base_y % P)
    r, s = point(signature[:32]), int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = multiply(s, base), add(r, multiply(k, point(key)))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_from(leaf, index, size, proof):
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if node & 1 or node == last:
            value = sha(b"\x01", sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = sha(b"\x01", value, sibling)
        node, last = node >> 1, last >> 1
    return value if last == 0 else None


def check_log(export):
    """Every leaf is what it says, and all of them lead to the root that was signed."""
    b64 = base64.b64decode
    pem = "".join(line for line in export["public_key_pem"].splitlines() if "-" not in line)
    key, text, signature = b64(pem)[-32:], export["checkpoint_text"].encode(), b64(export["signature"])
    if not export["checkpoint"].startswith(export["checkpoint_text"] + "\n"):
        sys.exit("the checkpoint and its text differ")
    if not signature_holds(key, text, signature):
        sys.exit("the signature of the checkpoint does not hold")
    origin, size, root = text.decode().splitlines()
    if origin != "watchfloor.audit" or int(size) != len(export["leaves"]):
        sys.exit(f"the checkpoint is of {origin} with {size} leaves; {len(export['leaves'])} are here")
    hashes = []
    for i, leaf in enumerate(export["leaves"]):
        payload_hash = b64(leaf["payload_hash"])
        if leaf["payload"] is not None:
            salt = b64(leaf["salt"])
            # A longer salt could swallow the beginning of the payload: the hash does not say where it ends.
            if len(salt) != 32 or sha(salt, leaf["payload"].encode()) != payload_hash:
                sys.exit(f"leaf {i}: the payload was changed")
        if leaf["index"] != i or json.loads(leaf["header"])["index"] != i:
            sys.exit(f"leaf {i} is out of place")
        hashes.append(sha(b"\x00", leaf["header"].encode(), b"\n", payload_hash))
        if "proof" in leaf and root_from(hashes[i], i, int(size), [b64(h) for h in leaf["proof"]]) != b64(root):
            sys.exit(f"leaf {i} is not in the signed tree")
    while len(hashes) > 1:
        pairs = [hashes[i : i + 2] for i in range(0, len(hashes), 2)]
        hashes = [sha(b"\x01", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    if (hashes[0] if hashes else sha()) != b64(root):
        sys.exit("the leaves do not lead to the signed root")
    return key, text, signature


def check_pack(path):
    """The comment of the zip signs all bytes before it; the signed manifest names every file; the log leads to its root."""
    data = open(path, "rb").read()
    with zipfile.ZipFile(path) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
        comment = pack.comment
    export = json.loads(files["audit.json"])
    key, _, _ = check_log(export)
    theirs = [files["public.pem"].decode()]
    if "--key" in sys.argv:
        theirs.append(open(sys.argv[sys.argv.index("--key") + 1], encoding="ascii").read())
    if any(base64.b64decode("".join(l for l in pem.splitlines() if "-" not in l))[-32:] != key for pem in theirs):
        sys.exit("it was signed with another key")
    body = data[: len(data) - len(comment)]
    expected = b"watchfloor.evidence\n" + base64.b64encode(sha(body)) + b"\n"
    head, _, signed = comment.decode().rpartition("\n\u2014 watchfloor.evidence ")
    note = base64.b64decode(signed.rstrip("\n"), validate=True)
    if not comment or head.encode() != expected or base64.b64encode(note).decode() + "\n" != signed:
        sys.exit("bytes of the file were changed after it was signed")
    if note[:4] != sha(b"watchfloor.evidence\n\x01" + key)[:4] or not signature_holds(key, expected, note[4:]):
        sys.exit("the signature of the file does not hold")
    manifest = files["MANIFEST.sha256"]
    if not signature_holds(key, manifest, files["MANIFEST.sig"]):
        sys.exit("the signature of the manifest does not hold")
    named = dict(reversed(line.split("  ", 1)) for line in manifest.decode().splitlines())
    if set(named) | {"MANIFEST.sha256", "MANIFEST.sig"} != set(files):
        sys.exit("the manifest does not name the files that are here")
    for name, digest in named.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            sys.exit(f"{name} is not what the manifest says")
    print(f"{len(named)} files and {len(export['leaves'])} leaves, all as they were signed by the key {hashlib.sha256(key).hexdigest()[:32]}")


def main():
    if zipfile.is_zipfile(sys.argv[1]):
        return check_pack(sys.argv[1])
    try:
        export = json.load(open(sys.argv[1], encoding="utf-8"))
    except ValueError:
        sys.exit("it is neither an export nor a pack, or it was changed")
    _, text, signature = check_log(export)
    if "--openssl" in sys.argv:
        folder = sys.argv[sys.argv.index("--openssl") + 1]
        for name, data in (("checkpoint.txt", text), ("signature.bin", signature), ("public.pem", export["public_key_pem"].encode())):
            open(os.path.join(folder, name), "wb").write(data)
    print(f"{len(export['leaves'])} leaves, all in the tree that was signed")


main()
