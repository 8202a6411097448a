"""What an experiment will cost before anything runs: `python -m chameleon plan`.

`jobs` walks the config through the plan's specs, `speed` measures the machine if asked, `schedule` lays the
jobs on its cores, `report` prints. Nothing here is read by a stage.
"""
