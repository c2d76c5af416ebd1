"""A small part of the Hugging Face Hub on 127.0.0.1, in memory: what `huggingface_hub` asks for.

Repositories with commits, visibility, tokens that may read or write, uploads of both kinds (within
a commit, and as large files beside it), and downloads.
"""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WRITE, READ = "hf_may_write", "hf_may_read"
LARGE = 10_000  # bytes from which a file of arrays or weights is uploaded beside the commit


class Repo:
    """A repository: its commits, the newest last, each a dict of contents by path."""

    def __init__(self, private=False, files=None):
        self.private, self.commits, self.claimed = private, {}, {}
        self.commit(files or {})

    def commit(self, files):
        text = repr((len(self.commits), sorted(files.items())))
        self.commits[hashlib.sha1(text.encode()).hexdigest()] = dict(files)

    @property
    def head(self):
        return [*self.commits][-1]

    @property
    def files(self):
        return self.commits[self.head]

    def find(self, revision):
        return self.head if revision == "main" else revision if revision in self.commits else None


class FakeHub(ThreadingHTTPServer):
    """The server; `asked` lists the requests, `down` makes it answer 503."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos, self.large, self.asked, self.down, self.pages = {}, {}, [], False, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def downloads(self):
        return [path.split("/")[-1] for method, path in self.asked if "/resolve/" in path]


@contextmanager
def serving():
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code=200, content=b"", error=None, **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers.setdefault("Content-Type", "application/json")
        self.send_response(code)
        if error:
            kind, text = error
            headers |= {"X-Error-Code": kind, "X-Error-Message": text}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_any(self):
        size = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = b""
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.body = self.rfile.read(size)
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path))
        if self.server.down:
            return self.answer(503, b"out of order")
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        for method, pattern, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                return action(self, *match.groups())
        return self.answer(404, b"")

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def repo(self, name):
        """Returns a repository that this visitor may see; None after an answer that says no."""
        found = self.server.repos.get(name)
        if found is None or (found.private and self.token not in (READ, WRITE)):
            code = 404 if self.token in (READ, WRITE) else 401
            self.answer(code, error=("RepoNotFound", "Repository not found"))
            return None
        return found

    def may_write(self):
        if self.token == WRITE:
            return True
        if self.token == READ:
            self.answer(403, error=("", "the token may only read"))
        else:
            self.answer(401, error=("", "Invalid username or password."))
        return False

    def create(self):
        wish = json.loads(self.body)
        name = f"{wish['organization']}/{wish['name']}"
        if not self.may_write():
            return
        exists = name in self.server.repos
        if not exists:
            private = wish.get("visibility") == "private"
            self.server.repos[name] = Repo(private, {".gitattributes": b""})
        self.answer(409 if exists else 200, {"url": f"{self.server.url}/{name}"})

    def validate(self):
        self.server.pages.append(json.loads(self.body)["content"])
        self.answer(200, {"errors": [], "warnings": []})

    def info(self, name, _=None, revision="main"):
        repo = self.repo(name)
        if repo is None:
            return
        sha = repo.find(revision or "main")
        if sha is None:
            self.answer(404, error=("RevisionNotFound", "Invalid rev id"))
            return
        files = [
            {"rfilename": path, "size": repo.claimed.get(path, len(content))}
            for path, content in repo.commits[sha].items()
        ]
        self.answer(200, {"id": name, "sha": sha, "private": repo.private, "siblings": files})

    def tree(self, name, revision):
        repo = self.repo(name)
        if repo is not None:
            self.answer(
                200,
                [
                    {"type": "file", "path": path, "size": len(content), "oid": digest(content)}
                    for path, content in repo.commits[repo.find(revision)].items()
                ],
            )

    def preupload(self, name, _):
        if self.repo(name) is None or not self.may_write():
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["size"] >= LARGE and file["path"].endswith((".keras", ".npz"))
                else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer(200, {"files": files})

    def batch(self, name):
        objects = [
            {**wish, "actions": {"upload": {"href": f"{self.server.url}/large/{wish['oid']}"}}}
            for wish in json.loads(self.body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.server.large[oid] = self.body
        self.answer(200)

    def commit(self, name, _):
        repo = self.repo(name)
        if repo is None or not self.may_write():
            return
        files = dict(repo.files)
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        repo.commit(files)
        url = f"{self.server.url}/{name}/commit/{repo.head}"
        self.answer(200, {"commitUrl": url, "commitOid": repo.head})

    def resolve(self, name, revision, path):
        repo = self.repo(name)
        if repo is None:
            return
        sha = repo.find(revision)
        content = repo.commits[sha].get(path)
        if content is None:
            self.answer(404, error=("EntryNotFound", "no such file"), X_Repo_Commit=sha)
            return
        self.answer(200, content, X_Repo_Commit=sha, ETag=f'"{digest(content)}"')


def digest(content):
    return hashlib.sha1(content).hexdigest()


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    (("POST",), r"/api/repos/create", Handler.create),
    (("POST",), r"/api/validate-yaml", Handler.validate),
    (("POST",), rf"/api/models/{NAME}/preupload/(.+)", Handler.preupload),
    (("POST",), rf"/api/models/{NAME}/commit/(.+)", Handler.commit),
    (("GET",), rf"/api/models/{NAME}/tree/(.+)", Handler.tree),
    (("GET",), rf"/api/models/{NAME}(/revision/(.+))?", Handler.info),
    (("POST",), rf"/{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (("PUT",), r"/large/(\w+)", Handler.upload),
    (("GET", "HEAD"), rf"/{NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
)
