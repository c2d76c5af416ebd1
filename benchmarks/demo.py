"""Response times of the demo for one client and many, and its memory after many requests.

    python -m demo RUN --port 7860 &
    python benchmarks/demo.py http://127.0.0.1:7860/ --clients 1 50 --requests 5000 --pid $!

Each client uploads a picture and then requests edits one after the other, without pauses: through
the public API, or with the requests of the page while a slider moves (`--page`).
"""

import argparse
import asyncio
import functools
import io
import json
import statistics
import subprocess
import time

import httpx
import numpy as np
from PIL import Image


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--each", type=int, default=20, help="requests per client")
    parser.add_argument(
        "--requests", type=int, default=0, help="total requests of a test of the server's memory"
    )
    parser.add_argument("--page", action="store_true", help="send the requests of a slider")
    parser.add_argument("--pid", type=int, help="process of the server, to measure its memory")
    args = parser.parse_args()
    if args.requests and not args.pid:
        parser.error("--requests measures the memory of the server and requires --pid")
    url = args.url.rstrip("/") + "/gradio_api"
    config = httpx.get(args.url.rstrip("/") + "/config", timeout=60).json()
    target = find(config, args.page)
    for clients in args.clients:
        each = args.each if clients > 1 else 5 * args.each
        print(summary(clients, *asyncio.run(load(url, target, clients, each))), flush=True)
    if args.requests:
        for part in (50, args.requests):
            asyncio.run(load(url, target, 10, part // 10))
            print(f"memory after {part} requests: {memory(args.pid):.0f} MB", flush=True)


def find(config, page):
    """Returns the number of the event, and a function that returns its inputs after the picture."""
    parts = {part["id"]: part["props"] for part in config["components"]}
    follow = next((one for one in config["dependencies"] if one["api_name"] == "follow"), None)
    if follow is None:
        raise SystemExit("The page has no attributes to edit. Use a run with directions")
    first = parts[follow["inputs"][2]]["value"]  # the value of the attribute menu
    for event in config["dependencies"]:
        if not page and event["api_name"] == "edit":
            return event["id"], lambda a: [{first: a}, False, ""]
        if page and event["api_name"] == "follow":
            rest = [0] * (len(event["inputs"]) - 4)
            return event["id"], functools.partial(on_page, first, rest)


def on_page(strip_of, rest, strength):
    return [False, strip_of, strength, *rest]


async def load(url, target, clients, each):
    """Returns the seconds of each request, the number of failed requests, and the total seconds."""
    seconds, failed = [], []

    async def visit(number):
        async with httpx.AsyncClient(timeout=120) as http:
            picture, session = await upload(http, url), f"benchmark-{number}-{time.time_ns()}"
            for request in range(each):
                start = time.perf_counter()
                try:
                    strength = (request % 30) / 10 - 1.5
                    answered = await edit(http, url, target, picture, strength, session)
                except (httpx.HTTPError, AssertionError, KeyError):
                    answered = False
                seconds.append(time.perf_counter() - start)
                if not answered:
                    failed.append(number)

    start = time.perf_counter()
    await asyncio.gather(*(visit(number) for number in range(clients)))
    return seconds, len(failed), time.perf_counter() - start


async def upload(http, url):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(pixels).save(file, "png")
    answer = await http.post(f"{url}/upload", files={"files": ("a.png", file.getvalue())})
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


async def edit(http, url, target, picture, strength, session):
    event, values = target
    body = {"data": [picture, *values(strength)], "fn_index": event, "session_hash": session}
    answer = await http.post(f"{url}/queue/join", json=body)
    assert answer.status_code == 200, answer.text
    answered = False
    events = http.stream("GET", f"{url}/queue/data", params={"session_hash": session})
    async with events as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                message = json.loads(line[5:])
                answered = answered or bool(message.get("success"))
                if message["msg"] == "close_stream":
                    break
    return answered


def summary(clients, seconds, failed, all_seconds):
    ordered = sorted(seconds)
    return (
        f"{clients} clients: {len(seconds)} requests, {len(seconds) / all_seconds:.0f} per second, "
        f"median {1e3 * statistics.median(ordered):.0f} ms, 95 % within "
        f"{1e3 * ordered[int(0.95 * len(ordered))]:.0f} ms, {failed} failed"
    )


def memory(pid):
    """Returns the resident size of a process in MB."""
    size = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
    return int(size.stdout) / 1024


if __name__ == "__main__":
    main()
