"""`python -m contextrl_data.pipeline.cli`."""

from contextrl_data.pipeline.cli import main

main()
