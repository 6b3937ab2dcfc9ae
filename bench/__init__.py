"""What the server costs, as ratios measured in one run. `make bench` runs it; DESIGN.md section 6 says why."""
