"""What a job runs: each function turns a spec and files into artefacts, with a run record beside them."""
