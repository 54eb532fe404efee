import sys
if sys.version_info < (3, 8):
    print("{\"hello\": {\"tooOld\": \"%d.%d.%d\"}}" % sys.version_info[:3])
    sys.exit(3)
sys.path = [folder for folder in sys.path if folder]  # a json.py in the home folder is not ours
import hashlib, io, json
STREAM = io.BufferedReader(io.FileIO(0, closefd=False), 65536)
HEADER = json.loads(STREAM.readline(65536) or "{\"agent\": 0, \"sha256\": \"\"}")
SOURCE = STREAM.read(HEADER["agent"])
DIGEST = hashlib.sha256(SOURCE).hexdigest()
if DIGEST != HEADER["sha256"]:
    print(json.dumps({"hello": {"failure": {"reason": "checksum-mismatch", "path": "agent.py", "expected": HEADER["sha256"], "actual": DIGEST}}}))
    sys.exit(3)
exec(compile(SOURCE, "slipway-agent", "exec"), {"__name__": "__main__", "STREAM": STREAM, "HEADER": HEADER, "SOURCE": SOURCE, "ROOT": HEADER["root"], "RUN": HEADER["run"]})
