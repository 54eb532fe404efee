import os, sys
os.write(1, b"{\"hello\": {\"ready\": true}}\n")
line = b"" if sys.argv[1] else b"\n"
while line != sys.argv[1].encode() + b"\n":  # a password that sudo did not ask for is still to be read
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(3)
        line += byte
os.execvp(sys.argv[2], sys.argv[2:])
