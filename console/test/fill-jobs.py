# fill-jobs.py - copies of a job in a store whose server is away, so that a list is long
#
#     fill-jobs.py DATABASE NAME COPIES      names become NAME-0, NAME-1, …, newest last
import json, sqlite3, sys, uuid

path, name, copies = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(path)
project, state, record = db.execute("SELECT project, state, record FROM workloads WHERE name = ?", (name,)).fetchone()
job = json.loads(record)
del job["attempt"]


def rows():
    for i in range(copies):
        # UUIDv7: a millisecond of a past year each, so that they are older than what is real.
        number = (1_700_000_000_000 + i) << 80 | 7 << 76 | 2 << 62 | i
        job["id"], job["name"] = str(uuid.UUID(int=number)), f"{name}-{i}"
        yield number.to_bytes(16, "big"), project, job["name"], state, (1_700_000_000_000 + i) * 1000, json.dumps(job)


db.executemany("INSERT INTO workloads (id, project, name, state, created, record) VALUES (?, ?, ?, ?, ?, ?)", rows())
db.execute("UPDATE workload_counts SET n = n + ? WHERE state = ?", (copies, state))
db.commit()
