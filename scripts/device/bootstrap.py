import sys
if sys.version_info < (3, 8):
    print("{\"hello\": {\"tooOld\": \"%d.%d.%d\"}}" % sys.version_info[:3])
    sys.exit(3)
sys.path = [folder for folder in sys.path if folder]  # a json.py in the home folder is not ours
import hashlib, io, json, marshal, os, zlib
STREAM = io.BufferedReader(io.FileIO(0, closefd=False), 65536)
HEADER = json.loads(STREAM.readline(65536) or "{\"agent\": 0, \"sha256\": \"\"}")
PACKED = STREAM.read(HEADER["agent"])
DIGEST = hashlib.sha256(PACKED).hexdigest()
if DIGEST != HEADER["sha256"]:
    print(json.dumps({"hello": {"failure": {"reason": "checksum-mismatch", "path": "agent.py", "expected": HEADER["sha256"], "actual": DIGEST}}}))
    sys.exit(3)
SOURCE, ROOT, KEY, CODE = zlib.decompress(PACKED), HEADER["root"], (DIGEST + sys.version).encode(), None
if ROOT.startswith("~/"):  # the home of whoever logged in, also when sudo made this root
    ROOT = os.path.expanduser("~" + (HEADER.get("login") or "" if os.geteuid() == 0 else "") + ROOT[1:])
try:  # what an earlier session compiled of this very source, if nobody else can have written it
    with open(os.open(os.path.join(ROOT, "state", "agent.code"), os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        found, kept = os.fstat(file.fileno()), file.read()
    if found.st_uid == os.geteuid() and not found.st_mode & 0o077 and kept[:32] == hashlib.sha256(KEY + kept[32:]).digest():
        CODE, KEY = marshal.loads(kept[32:]), None
except OSError:
    pass
CODE = CODE or compile(SOURCE, "slipway-agent", "exec")
exec(CODE, {"__name__": "__main__", "STREAM": STREAM, "HEADER": HEADER, "SOURCE": SOURCE, "CODE": CODE, "KEY": KEY, "ROOT": ROOT})
