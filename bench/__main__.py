import sys, tempfile, statistics
from pathlib import Path
from bench.load import loaded
from bench.workload import *
from bench.server import EMPTY
with tempfile.TemporaryDirectory() as d:
    with loaded(Path(d)/"x", "") as s:
        prepare(s)
        g = reads(s, 50, 2000)
        s.cost(EMPTY, g); s.cost(GET, g)
        for _ in range(3):
            print("empty", s.cost(EMPTY, g)); print("get", s.cost(GET, g)); print("launch", s.cost(LAUNCH, launches(300)))
        s.metadata=()
        print("empty", s.cost(EMPTY, g))
        print("empty", s.cost(EMPTY, g))
