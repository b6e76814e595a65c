"""A file server on the loopback that can stop where a test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


class Handler(BaseHTTPRequestHandler):
    """Replies as the state of `serving` says."""

    def do_GET(self):
        server = self.server.state
        server.ranges_asked.append(self.headers.get("Range"))
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        start, code = 0, 200
        if server.ranges and self.headers.get("Range"):
            start, code = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.end_headers()
                return
        body = server.content[start:]
        self.send_response(code)
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        cut = server.cut.pop(0) if server.cut else len(body)
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut < len(body) and server.stall:
            server.gate.wait(60)

    def log_message(self, *args):
        pass


@contextmanager
def serving() -> Iterator[SimpleNamespace]:
    """Serve `content` at `url`, and note in `ranges_asked` the Range of every request.

    Asked for a part, it gives it where `ranges` is set, else the whole. It states lengths where `length` is set. `cut`
    holds byte counts, one a reply, after which the connection ends; with `stall` it stays open until `gate` is set.
    """
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state = SimpleNamespace(
        content=b"", ranges_asked=[], ranges=True, length=True, cut=[], stall=False, gate=threading.Event(),
        url=f"http://127.0.0.1:{http.server_port}/pack.bin",
    )  # fmt: skip
    http.state = state
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        http.shutdown()
        thread.join()
        http.server_close()
