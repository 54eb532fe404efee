/** An HTTP service with little besides: says what it was given and who it is, and echoes what an upgraded connection sends. */
export const API = `
import http.server, json, os, sys

def tried(path):
    try:
        with open(path, "w"):
            return "written"
    except OSError as error:
        return error.strerror

def status():
    with open("/proc/self/status") as file:
        return dict(line.rstrip().split(":\\t", 1) for line in file if ":\\t" in line)

class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
            self.wfile.write(self.connection.recv(100)[::-1])
            self.close_connection = True
            return
        body = {"release": os.environ["RELEASE_ID"]}
        if self.path == "/api/given":
            body = {"argv": sys.argv[2:], "env": {k: v for k, v in os.environ.items() if k.startswith("ODD")}}
        if self.path == "/api/self":
            own = status()
            data = os.environ["DATA"]
            places = {"data": data + "/x", "root": data + "/../../x", "release": "x", "etc": "/etc/x", "home": "/home/x"}
            body = {
                "uid": os.getuid(), "capabilities": own["CapEff"], "noNewPrivileges": own["NoNewPrivs"],
                "seccomp": own["Seccomp"], "written": {name: tried(path) for name, path in places.items()},
                "secrets": open(os.environ["SECRETS"]).read(), "folder": os.getcwd(),
                "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
            }
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass

print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
`;

/** A service that tells systemd that it is well, until it is told to fall silent. */
export const DOG = `
import os, socket, sys, time
tell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tell.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0"))
tell.send(b"READY=1")
while not os.path.exists(os.environ["DATA"] + "/silent"):
    tell.send(b"WATCHDOG=1")
    time.sleep(0.2)
os.unlink(os.environ["DATA"] + "/silent")
time.sleep(60)
`;
