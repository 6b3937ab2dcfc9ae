import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "e2e"))  # real servers and accounts: e2e_server.py, e2e_clients.py
