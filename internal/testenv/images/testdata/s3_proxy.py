"""A way to an S3 server with faults: passes every request on, but for what FAULT says.

refuse-part-2   the second part of every multipart upload is answered with 400
cut-get         the first GET of each object above 1 MB breaks off in the middle
silent          every connection is accepted and none is answered

Prints one line a request: METHOD PATH STATUS.
"""
import http.client
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TARGET = os.environ["TARGET"]
FAULT = os.environ["FAULT"]
cut = set()
lock = threading.Lock()


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        if FAULT == "silent":
            time.sleep(3600)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if FAULT == "refuse-part-2" and self.command == "PUT" and "partNumber=2" in self.path:
            return self.answer(400, [], b"<Error><Code>InvalidRequest</Code><Message>refused</Message></Error>")
        upstream = http.client.HTTPConnection(TARGET)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, value)
        upstream.endheaders(body)
        response = upstream.getresponse()
        self.answer(response.status, response.getheaders(), response.read())
        upstream.close()

    def answer(self, status, headers, body):
        print(self.command, self.path, status, flush=True)
        self.send_response_only(status)
        length = len(body)
        for name, value in headers:
            if self.command == "HEAD" and name.lower() == "content-length":
                length = value
            elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.breaks_off(body) else body)

    def breaks_off(self, body):
        key = re.sub(r"\?.*", "", self.path)
        with lock:
            if FAULT != "cut-get" or self.command != "GET" or len(body) < 1 << 20 or key in cut:
                return False
            cut.add(key)
        print("CUT", key, flush=True)
        self.close_connection = True
        return True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("", int(sys.argv[1])), Proxy)
server.daemon_threads = True
server.serve_forever()
