"""A schema registry on loopback: a test double, not a registry.

It speaks real HTTP and the part of the REST interface that confluent_kafka's client, deserializers and serializers
use: schemas by number and by GUID, versions of a subject, registering and looking up. Its answers to what it does not
have are those of the real one (40401, 40402, 40403). It keeps everything in memory, checks no compatibility, and one
schema has one number whatever its subjects, as in the real one.

Faults are made to order: ``fail_next(503)``, ``fail_next(429, {"Retry-After": "7"})``, ``hold()`` until
``release()``, ``credentials``, ``stop()`` for a closed port and ``start()`` for the same port again. ``asked`` lists
the requests.
"""

import base64
import json
import threading
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class SchemaRegistryDouble:
    def __init__(self):
        self.asked = []
        self.credentials = None
        """``user:password`` that every request has to bring; None: none has to."""
        self.guids = True
        """Whether it knows schemas by GUID at all; older registries do not."""
        self._faults = deque()
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._schemas = {}
        self._subjects = {}
        self._port = 0
        self._server = None
        self._tls = None
        self.start()

    # --- the registry's own life ---

    @property
    def url(self):
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    def secure(self, context):
        """From now on by TLS alone, on the same port."""
        self.stop()
        self._tls = context
        self.start()

    def start(self):
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.registry = self
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self._open.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # --- faults ---

    def fail_next(self, status, headers=None, body=b"", times=1):
        self._faults.extend([(status, headers or {}, body)] * times)

    def hold(self):
        self._open.clear()

    def release(self):
        self._open.set()

    # --- what it has ---

    def register(self, subject, schema, kind="AVRO", references=(), rule_set=None):
        """``(number, GUID)`` of a schema, given as text or as a value that is written as JSON."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        told = {"schema": text, "schemaType": kind, "references": list(references), "ruleSet": rule_set}
        with self._lock:
            number = next((one for one, known in self._schemas.items() if known["told"] == told), None)
            if number is None:
                number = len(self._schemas) + 1
                self._schemas[number] = {"told": told, "guid": str(uuid.uuid4())}
            versions = self._subjects.setdefault(subject, [])
            if number not in versions:
                versions.append(number)
            return number, uuid.UUID(self._schemas[number]["guid"])

    def forget(self, number):
        with self._lock:
            del self._schemas[number]

    def answer(self, method, path, headers, body):
        """``(status, headers, body)``."""
        self._open.wait(30)
        with self._lock:
            self.asked.append(f"{method} {path}")
            if self._faults:
                return self._faults.popleft()
        given = headers.get("Authorization", "").removeprefix("Basic ")
        if self.credentials is not None and given != base64.b64encode(self.credentials.encode()).decode():
            return _error(401, 401, "Unauthorized")
        return self._found(method, [unquote(part) for part in path.strip("/").split("/")], body)

    def _found(self, method, parts, body):
        match method, parts:
            case "GET", ["schemas", "ids", number]:
                return self._described(int(number))
            case "GET", ["schemas", "guids", guid] if self.guids:
                with self._lock:
                    number = next((one for one, known in self._schemas.items() if known["guid"] == guid), 0)
                return self._described(number)
            case "GET", ["subjects", subject, "versions", version]:
                return self._version(subject, version)
            case "POST", ["subjects", subject, "versions"]:
                number, _ = self._registered(subject, body)
                return self._described(number, subject)
            case "POST", ["subjects", subject]:
                return self._looked_up(subject, body)
            case _:
                return 404, {"Content-Type": "text/html"}, b"<html>There is nothing here.</html>"

    def _registered(self, subject, body):
        told = json.loads(body)
        return self.register(
            subject, told["schema"], told.get("schemaType", "AVRO"), told.get("references") or (), told.get("ruleSet")
        )

    def _looked_up(self, subject, body):
        if subject not in self._subjects:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        text = json.loads(body)["schema"]
        for number in self._subjects[subject]:
            if self._schemas[number]["told"]["schema"] == text:
                return self._described(number, subject)
        return _error(404, 40403, "Schema not found")

    def _version(self, subject, version):
        versions = self._subjects.get(subject)
        if versions is None:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        place = len(versions) if version in ("latest", "-1") else int(version)
        if not 0 < place <= len(versions):
            return _error(404, 40402, f"Version {version} not found.")
        return self._described(versions[place - 1], subject)

    def _described(self, number, subject=None):
        with self._lock:
            known = self._schemas.get(number)
        if known is None:
            return _error(404, 40403, f"Schema {number} not found")
        answer = {name: value for name, value in known["told"].items() if value}
        if known["told"]["schemaType"] == "AVRO":
            # The real one leaves the commonest type out.
            del answer["schemaType"]
        if self.guids:
            answer["guid"] = known["guid"]
        if subject is not None:
            answer |= {"subject": subject, "id": number, "version": self._subjects[subject].index(number) + 1}
        return 200, {}, json.dumps(answer).encode()


def _error(status, code, message):
    return status, {}, json.dumps({"error_code": code, "message": message}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A client that gave up waiting is no failure of a test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.server.registry.answer(
            self.command, urlsplit(self.path).path, self.headers, body
        )
        self.send_response(status)
        for name, value in ({"Content-Type": "application/vnd.schemaregistry.v1+json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the handler's own names

    def log_message(self, format, *args):  # noqa: A002 - the handler's own name
        """Tests read ``asked``."""
