# A check over HTTP that needs only Python. Set LANDFALL_CHECK_URL=http://127.0.0.1:8000/
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen


class Check(BaseHTTPRequestHandler):
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        project = question["record"]["metadata"].get("project")
        if project is None:
            answer = {"reject": {"detail": "Say which project the file is for."}}
        else:
            with urlopen(question["content"]) as file:
                lines = sum(block.count(b"\n") for block in iter(lambda: file.read(65536), b""))
            answer = {"accept": True, "result": {"project": project, "lines": lines}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8000))), Check).serve_forever()
