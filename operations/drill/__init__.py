"""`berth drill`: rehearsed faults against a lab under load. run.py leads through one, faults.py is the catalogue."""
