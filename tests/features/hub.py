"""A hub on this machine, with the routes of the Hugging Face hub that downloading uses."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repositories: dict[str, Path], *, lie_about: str = "") -> Iterator[str]:
    """Serve folders as repositories; ``lie_about`` names a file whose checksum is stated wrong."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._serve(body=False)

        def do_GET(self) -> None:
            self._serve(body=True)

        def _serve(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            for name, folder in repositories.items():
                if path.startswith(f"/api/models/{name}"):
                    return self._answer(200, json.dumps(_info(name, folder, lie_about)).encode())
                start = f"/{name}/resolve/{COMMIT}/"
                file = folder / path.removeprefix(start)
                if path.startswith(start) and file.is_file():
                    return self._answer(200, file.read_bytes(), body=body)
            return self._answer(404, b"{}", error="RepoNotFound")

        def _answer(self, status: int, content: bytes, *, body: bool = True, error="") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _info(name: str, folder: Path, lie_about: str) -> dict[str, object]:
    siblings = []
    for file in sorted(folder.iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        entry: dict[str, object] = {"rfilename": file.name, "size": file.stat().st_size}
        if file.suffix in {".safetensors", ".bin"}:
            stated = "0" * 64 if file.name == lie_about else digest
            entry["lfs"] = {"sha256": stated, "size": file.stat().st_size, "pointerSize": 134}
        siblings.append(entry)
    return {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "private": False}
