"""client - what the benchmarks ask of the API, over one kept connection

Reads BERTH_URL and BERTH_KEY; the project is `lab`.
"""
import http.client
import itertools
import json
import os
import re
import urllib.parse

FINAL = ("succeeded", "failed", "stopped")
serial = itertools.count()


class Api:
    def __init__(self):
        address = urllib.parse.urlsplit(os.environ["BERTH_URL"])
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
        self.headers = {"Authorization": "Bearer " + os.environ["BERTH_KEY"]}

    def call(self, method, path, body=None, **headers):
        raw = None if body is None else json.dumps(body)
        if raw:
            headers["Content-Type"] = "application/json"
        if method == "POST":
            headers["Idempotency-Key"] = f"bench-{os.getpid()}-{next(serial)}"
        self.connection.request(method, path, raw, {**self.headers, **headers})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return data

    def submit(self, command, **fields):
        return json.loads(self.call("POST", "/v1/projects/lab/jobs", {"command": command, "cpus": 1, **fields}))["id"]

    def job(self, job):
        return json.loads(self.call("GET", f"/v1/projects/lab/jobs/{job}"))

    def events(self, after=0, job=None):
        """the project's events as they come, after seq AFTER"""
        query = f"?follow=1&cursor={after}" + (f"&job={job}" if job else "")
        stream = Api().connection
        stream.request("GET", "/v1/projects/lab/events" + query, headers={**self.headers, "Accept": "text/event-stream"})
        for line in stream.getresponse():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    def wait(self, job):
        """the job, once it has ended"""
        for event in self.events(job=job):
            if event.get("subject") == job and event["type"].removeprefix("job.") in FINAL:
                break
        return self.job(job)

    def log(self, job):
        return self.call("GET", f"/v1/projects/lab/jobs/{job}/logs").decode(errors="replace")


def seconds(text):
    """an RFC 3339 time as seconds within its day; enough for differences"""
    hours, minutes, rest = re.search(r"T(\d+):(\d+):([\d.]+)", text).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)
