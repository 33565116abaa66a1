"""Snapshots from a model hub: a small hub on loopback, and no hub at all."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import pytest
from models import build_tiny_model

from adapters.model_files import resolve
from stream.errors import Fatal, Misuse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOBODY = "http://127.0.0.1:9"


class Hub:
    """Serves one folder as ``org/tiny`` at one commit, tagged v1, on the branch main."""

    def __init__(self, folder):
        self.files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self.requests = []
        hub = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, with_body=True)

            def do_HEAD(self):
                hub.answer(self, with_body=False)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, *, with_body):
        path = unquote(urlsplit(request.path).path)
        self.requests.append(path)
        status, headers, body = self.reply(path)
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if with_body:
            request.wfile.write(body)

    def reply(self, path):
        files = [
            {"type": "file", "path": name, "size": file.stat().st_size, "oid": etag(file)}
            for name, file in self.files.items()
        ]
        at_commit = {"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]}
        known = {
            "/api/models/org/tiny/refs": {
                "tags": [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": COMMIT}],
                "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}],
                "converts": [],
            },
            "/api/models/org/tiny/revision/v1": at_commit,
            f"/api/models/org/tiny/revision/{COMMIT}": at_commit,
            f"/api/models/org/tiny/tree/{COMMIT}": files,
            "/api/models/org/tiny/tree/v1": files,
        }
        if path in known:
            return 200, {"Content-Type": "application/json"}, json.dumps(known[path]).encode()
        name = path.removeprefix(f"/org/tiny/resolve/{COMMIT}/")
        if name in self.files:
            headers = {"ETag": f'"{etag(self.files[name])}"', "X-Repo-Commit": COMMIT}
            return 200, headers, self.files[name].read_bytes()
        code = "RevisionNotFound" if path.startswith("/api/models/org/tiny/") else "RepoNotFound"
        return 404, {"X-Error-Code": code}, b""


def etag(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:40]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    serving = Hub(folder)
    yield serving
    serving.server.shutdown()
    serving.server.server_close()


@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_a_tag_or_a_commit_is_fetched_without_its_pickles(hub, revision):
    files = resolve(f"hub:org/tiny@{revision}", hub_endpoint=hub.endpoint)
    assert files.name == "tiny"
    assert files.folder.name == COMMIT
    assert (files.folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"].read_bytes()
    assert not (files.folder / "pytorch_model.bin").exists()


def test_what_was_fetched_is_used_when_the_hub_is_away(hub):
    fetched = resolve("hub:org/tiny@v1", hub_endpoint=hub.endpoint)
    assert resolve("hub:org/tiny@v1", hub_endpoint=NOBODY) == fetched
    assert resolve(f"hub:org/tiny@{COMMIT}", hub_endpoint=NOBODY) == fetched


def test_offline_nothing_is_asked_for(hub, monkeypatch):
    fetched = resolve("hub:org/tiny@v1", hub_endpoint=hub.endpoint)
    hub.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert resolve("hub:org/tiny@v1", hub_endpoint=hub.endpoint) == fetched
    assert hub.requests == []


def test_a_branch_is_refused_with_the_commit_to_pin(hub):
    with pytest.raises(Misuse, match=f"main is a branch.*hub:org/tiny@{COMMIT}"):
        resolve("hub:org/tiny@main", hub_endpoint=hub.endpoint)


@pytest.mark.parametrize("reference", ["hub:org/tiny", "hub:org/tiny@", "hub:tiny@v1", "hub:org/tiny@a b", "hub:@v1"])
def test_a_reference_without_revision_is_misuse(reference):
    with pytest.raises(Misuse, match=r"<org>/<name>@<revision>"):
        resolve(reference, hub_endpoint=NOBODY)


@pytest.mark.parametrize("reference", ["hub:org/tiny@v2", "hub:org/other@v1", f"hub:org/other@{COMMIT}"])
def test_what_the_hub_does_not_know_is_fatal(hub, reference):
    with pytest.raises(Fatal, match="knows no org/"):
        resolve(reference, hub_endpoint=hub.endpoint)


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub):
    with pytest.raises(Fatal, match="cannot be reached and org/tiny at v1 was not fetched before"):
        resolve("hub:org/tiny@v1", hub_endpoint=NOBODY)
