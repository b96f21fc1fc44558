"""The shipped configs; `--config coding` finds `coding.yaml` here."""
